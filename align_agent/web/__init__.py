"""The dashboard: what was learned, why, and how to undo it, in pages that any browser shows."""

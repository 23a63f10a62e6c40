"""The one way in: what is recorded, redacted and imported. Reads no feedback, trains nothing."""

"""OpenClaw on this machine: where its configuration lies, and our entries in it. Starts nothing."""

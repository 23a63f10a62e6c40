"""The HTTP door: any agent's client in, the serving version's answers out, everything recorded."""

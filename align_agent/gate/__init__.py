"""May this candidate serve? Probes, scores and a verdict. Moves no alias: that is `adapters/`."""

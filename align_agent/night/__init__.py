"""One night from the day's turns to a verdict on a new adapter. `run.py` is the whole of it."""

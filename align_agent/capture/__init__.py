"""The one way in: what is recorded, redacted and imported. Reads no feedback, trains nothing."""

from align_agent.capture.recorder import Recorder

__all__ = ["Recorder"]

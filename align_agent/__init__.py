"""align-agent: a personal agent that learns from ordinary use, on the user's own machine."""

__version__ = "0.1.0"

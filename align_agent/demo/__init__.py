"""The demonstration: simulated people talk to the real agent for some days, and it learns by night.

Nothing here is a shortcut: chats go through `agent`, the log through `capture`, nights run as the
scheduler's subprocess does, versions move in the registry.
"""

from align_agent.demo.declared import run_declared
from align_agent.demo.play import run_demo

__all__ = ["run_declared", "run_demo"]

"""The same record for any LangGraph or LangChain agent: `agent = Capture().watch(agent)`."""

from align_agent.langgraph.capture import Capture

__all__ = ["Capture"]

"""The embedded agent: a LangGraph graph around the local model, with tools, skills and memory.

langgraph is imported inside functions; `tools`, `skills` and `commands` need neither it nor torch.
"""

"""Another model server behind our door: the same routes, the same record, its answers."""

from align_agent.server.upstream.backend import Upstream

__all__ = ["Upstream"]

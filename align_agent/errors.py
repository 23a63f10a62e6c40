"""The one tree of errors. Each has a message, a hint that says how to mend it, and an exit code.

Exit codes: 1 failed, 2 usage or configuration, 3 refused by the gate, 130 interrupted.
"""

from __future__ import annotations


class AlignAgentError(Exception):
    """Base of everything this project raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AlignAgentError):
    """The command line was used in a way that cannot work."""

    exit_code = 2


class ConfigError(AlignAgentError):
    """config.yaml cannot be used as it is."""

    exit_code = 2


class InputError(AlignAgentError):
    """Text or a file that a person handed in cannot be used."""

    exit_code = 2


class StoreError(AlignAgentError):
    """The database cannot be opened, read or written."""


class StoreCorrupt(StoreError):
    """The file is no SQLite database, or a damaged one."""


class StoreForeign(StoreError):
    """A sound SQLite database that belongs to another program."""


class StoreTooNew(StoreError):
    """The database was written by a newer align-agent."""


class StoreLocked(StoreError):
    """Another process holds the database and did not let go in time."""


class DiskFull(StoreError):
    """The disk that holds the home has no room left."""


class NotFound(AlignAgentError):
    """A turn, rule, run or adapter that was named does not exist."""


class NotOwner(AlignAgentError):
    """Somebody else than the owner wants to say what an answer was worth."""


class AdapterError(AlignAgentError):
    """An adapter's directory cannot be used."""


class AdapterDamaged(AdapterError):
    """A file of the adapter is missing or differs from its manifest."""


class WrongBase(AdapterError):
    """The adapter was trained on another base model."""


class ModelError(AlignAgentError):
    """The model cannot be loaded or asked."""


class ContextTooLong(ModelError):
    """The prompt does not fit into the model's context."""


class UpstreamError(ModelError):
    """The server that answers for us cannot be reached, refuses, or breaks off.

    `status`, `kind` and `code` are its own where it gave any, and `headers` those of its headers
    that its clients should see.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        kind: str = "server_error",
        code: str | None = "upstream_error",
        headers: dict[str, str] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.kind, self.code, self.headers = status, kind, code, headers


class Unsupported(ModelError):
    """What answers here cannot do this at all."""


class TimedOut(AlignAgentError):
    """What was asked for took longer than a request may."""


class MissingDependency(AlignAgentError):
    """An optional part of align-agent is not installed."""


class NightBusy(AlignAgentError):
    """Another night is running."""


class TrainingDiverged(AlignAgentError):
    """The loss or a gradient became NaN, infinite or far too large."""


class GateRefused(AlignAgentError):
    """The gate does not let this candidate serve."""

    exit_code = 3


class PromotionHeld(AlignAgentError):
    """Promotion is held, after a rollback or by the user."""

    exit_code = 3

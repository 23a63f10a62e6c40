"""What every phase of a night shares: home, store, configuration, the run's row and its folder.

The model is loaded when a phase first needs it, so that a night with nothing to learn stays cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.adapters.registry import Registry
from align_agent.adapters.timeline import RULES
from align_agent.config import Config
from align_agent.distill.select import Selection
from align_agent.models.load import load_model
from align_agent.night import continual, plan
from align_agent.night.artefacts import RunFolder
from align_agent.night.clock import Clock
from align_agent.night.progress import Progress
from align_agent.paths import Home
from align_agent.records import BASE_VERSION, Run, RunStatus
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

BASE_HASH = "base_hash"


@dataclass(frozen=True, slots=True)
class End:
    """A night's orderly end, from whichever phase it comes."""

    status: RunStatus
    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Night:
    """One run under way. `done` holds the artefact of every phase that is complete, `loaded` the
    base where the caller had it in memory already."""

    home: Home
    store: Store
    config: Config
    registry: Registry
    wishes: plan.Wishes
    run: Run
    folder: RunFolder
    progress: Progress
    clock: Clock
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    loaded: LocalModel | None = None
    _model: LocalModel | None = None
    _chosen: Selection | None = None

    def update(self, **changes: Any) -> None:
        """Change the run's row, and this copy of it."""
        self.run = self.store.runs.update(self.run.id, **changes)

    def model(self) -> LocalModel:
        """The base model. Raises ModelError, MissingDependency."""
        if self._model is None:
            self._model = self.loaded or load_model(self.config.model)
            self.update(config={**self.run.config, BASE_HASH: self._model.base_hash})
        return self._model

    def champion(self) -> tuple[int, Path | None]:
        """The version that serves now, and its folder; the base in place of a tainted one.

        What learned from forgotten text is to be replaced, also by something that is no better.
        """
        model = self.model()
        version, path = self.registry.serving(self.config.model.base, model.base_hash)
        if version and self.store.adapters.get(version).tainted:
            return BASE_VERSION, None
        return version, path

    def start(self) -> Path | None:
        """The adapter from whose weights this night trains; None for a fresh one over the base."""
        version, path = self.champion()
        return path if version and version == self.run.config.get(continual.START) else None

    def retired(self) -> list[str]:
        """The rules that the champion learned, and in whose place there is nothing now."""
        champion = continual.champion_of(self.store, self.registry.champion())
        learned = champion.run.config.get(RULES, ()) if champion else ()
        return continual.retired(learned, self.wishes.rules)

    def chosen(self) -> Selection:
        """The turns of this night, as the `select` phase left them."""
        if self._chosen is None:
            self._chosen = plan.restore(self.store, self.done["select"])
        return self._chosen

    def documents(self) -> str:
        """All documents that this night learns, one text: they apply to any prompt."""
        found = (candidate.shown.document for candidate in self.chosen().train)
        return "\n\n".join(dict.fromkeys(text for text in found if text))

    def max_new_tokens(self) -> int:
        """Tokens of one answer: as by day, but never more than half of the context."""
        return max(1, min(self.config.model.max_new_tokens, self.model().context // 2))

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
from align_agent.errors import AdapterDamaged, AdapterError, NotFound
from align_agent.models.load import load_model
from align_agent.night import continual, plan
from align_agent.night.artefacts import RunFolder
from align_agent.night.clock import Clock
from align_agent.night.progress import Progress
from align_agent.paths import Home
from align_agent.records import BASE_VERSION, Run, RunStatus, version_label
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

BASE_HASH = "base_hash"
SERVED = "served_then"  # in the run's row: the version that served when the night began


@dataclass(frozen=True, slots=True)
class End:
    """A night's orderly end, from whichever phase it comes."""

    status: RunStatus
    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Night:
    """One run under way. `done` holds the artefact of every phase that is complete, `loaded` the
    base where the caller had it in memory already, `guest` whether that base is another than the
    configured one, which answers by day."""

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
    guest: bool = False
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

    def served(self) -> int:
        """The version that served when the night began.

        A night's lessons are chosen for it, its weights may begin with it, and it is judged beside
        it: a rollback meanwhile changes nothing of that, only whether the night may promote.
        """
        noted = self.run.config.get(SERVED)
        return self.registry.champion() if noted is None else int(noted)

    def champion(self) -> tuple[int, Path | None]:
        """The version that served when the night began, and its folder: what answers in its place
        where that cannot be used, the base where it is tainted.

        What learned from forgotten text is to be replaced, also by something that is no better.
        """
        base, base_hash = self.config.model.base, self.model().base_hash
        version = self.served()
        try:
            path = self.registry.path(version, base=base, base_hash=base_hash)
        except (AdapterError, NotFound):
            version, path = self.registry.serving(base, base_hash)
        if version and self.store.adapters.get(version).tainted:
            return BASE_VERSION, None
        return version, path

    def start(self) -> Path | None:
        """The adapter from whose weights this night trains; None for a fresh one over the base.

        Raises AdapterDamaged when it cannot be used any more: the lessons were chosen to go on
        from it, and over the base they would be too few.
        """
        wanted = int(self.run.config.get(continual.START, BASE_VERSION))
        if not wanted:
            return None
        version, path = self.champion()
        if version != wanted:
            raise AdapterDamaged(
                f"{version_label(wanted)}, from which this night went on, cannot be used any more",
                hint="run another night: it starts from the base",
            )
        return path

    def retired(self) -> list[str]:
        """The rules that the champion learned, and in whose place there is nothing now."""
        champion = continual.champion_of(self.store, self.served())
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

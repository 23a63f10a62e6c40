"""Any order of registering, promoting, rolling back, holding, pinning and pruning."""

import itertools
import shutil
from pathlib import Path

from folders import light_folder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from align_agent.adapters import files
from align_agent.adapters.carried import import_folder
from align_agent.adapters.registry import Registry
from align_agent.adapters.timeline import timeline
from align_agent.errors import (
    AdapterDamaged,
    GateRefused,
    NotFound,
    PromotionHeld,
    UsageError,
    WrongBase,
)
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.store import Store


class RegistryMachine(RuleBasedStateMachine):
    """The registry beside a model of it in a few plain variables."""

    versions = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.folder = light_folder()
        self.root = Path(self.folder.name)
        self.home = Home(self.root / "home").ensure()
        self.store = Store.open(self.home.database)
        self.registry = Registry(self.store, self.home)
        self.source = self.root / "trained"
        self.source.mkdir()
        self.verdicts: dict[int, str] = {}
        self.digests: dict[int, str] = {}
        self.gone: set[int] = set()
        self.pinned: set[int] = set()
        self.champion = 0
        self.previous: int | None = None
        self.candidate: int | None = None
        self.held = False
        self.rolled_back = False

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(target=versions, verdict=st.sampled_from(["promote", "review", "reject"]))
    def register(self, verdict):
        number = len(self.verdicts) + 1
        self.store.runs.create(Run(id=f"run-{number}", status="running"))
        (self.source / "adapter_model.safetensors").write_bytes(bytes([number % 256]) * 64)
        adapter = self.registry.register(
            self.source, base="b", base_hash="h", run_id=f"run-{number}", verdict=verdict
        )
        assert adapter.version == number
        self.verdicts[number] = verdict
        self.digests[number] = adapter.manifest_sha256
        if verdict != "reject":
            self.candidate = number
        return number

    @rule(version=versions, who=st.sampled_from(["user", "night"]), force=st.booleans())
    def promote(self, version, who, force):
        refused = (
            (self.held and who == "night")
            or version in self.gone
            or (self.verdicts[version] == "reject" and not force)
            or (self.verdicts[version] == "review" and who == "night")
        )
        try:
            self.registry.promote(version, why="w", who=who, force=force)
        except (PromotionHeld, GateRefused, AdapterDamaged):
            assert refused
            return
        assert not refused
        if version != self.champion:
            self.previous, self.champion = self.champion, version
            self.rolled_back = False
        if version == self.candidate and version == self.champion:
            self.candidate = None

    @rule()
    def promote_base(self):
        self.registry.promote(0, why="w", who="user")
        if self.champion:
            self.previous, self.champion = self.champion, 0
            self.rolled_back = False

    @rule()
    def rollback(self):
        try:
            self.registry.rollback(why="w")
        except NotFound:
            assert self.previous is None
            return
        except UsageError:
            assert self.rolled_back
            return
        assert self.previous is not None and not self.rolled_back
        self.rolled_back = True
        self.champion, self.previous = self.previous, self.champion
        self.held = True

    @rule()
    def hold(self):
        self.registry.hold("w")
        self.held = True

    @rule()
    def release(self):
        self.registry.release()
        self.held = False

    @rule(version=versions, pinned=st.booleans())
    def pin(self, version, pinned):
        self.registry.pin(version, pinned)
        (self.pinned.add if pinned else self.pinned.discard)(version)

    @rule(
        version=versions,
        base_hash=st.sampled_from(["h", "another", ""]),
        harm=st.sampled_from(["none", "a changed byte", "no manifest"]),
    )
    def import_what_was_exported(self, version, base_hash, harm):
        """The same files are the same version; a new one only where its files are gone here."""
        folder = self.registry.folder(version)
        if not folder.exists():
            return
        copy = self.root / "carried"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        if harm == "a changed byte":
            (copy / "adapter_model.safetensors").write_bytes(b"x" * 64)
        elif harm == "no manifest":
            (copy / files.MANIFEST).unlink()
        try:
            adapter = import_folder(self.registry, self.store, copy, base="b", base_hash=base_hash)
        except (WrongBase, AdapterDamaged):
            assert harm != "none" or base_hash != "h"
            return
        assert harm == "none" and base_hash == "h"
        assert self.digests[adapter.version] == adapter.manifest_sha256
        assert adapter.verdict == self.verdicts[adapter.version]

    @rule(keep=st.integers(-1, 4), dry_run=st.booleans())
    def prune(self, keep, dry_run):
        alive = set(self.verdicts) - self.gone
        safe = {self.champion, self.previous, self.candidate} | self.pinned
        removed = self.registry.prune(keep, dry_run)
        assert not safe & set(removed)
        assert len(alive) - len(removed) == max(len(alive & safe), min(len(alive), max(keep, 0)))
        if not dry_run:
            self.gone.update(removed)

    @rule()
    def restart(self):
        self.store.close()
        self.store = Store.open(self.home.database)
        self.registry = Registry(self.store, self.home)
        assert self.registry.sweep() == []

    @invariant()
    def the_names_point_where_the_model_says(self):
        assert self.registry.champion() == self.champion
        assert self.store.adapters.alias("previous") == self.previous
        assert self.store.adapters.alias("candidate") == self.candidate

    @invariant()
    def the_champion_always_serves(self):
        version, path = self.registry.serving("b", "h")
        assert version == self.champion
        assert (path is None) == (version == 0)

    @invariant()
    def no_version_ever_changes(self):
        for version, digest in self.digests.items():
            if version not in self.gone:
                files.verify(self.registry.folder(version), digest)

    @invariant()
    def the_disk_holds_exactly_what_was_not_pruned(self):
        names = {p.name for p in self.home.adapters.iterdir()}
        assert names == {files.folder_name(v) for v in set(self.verdicts) - self.gone}

    @invariant()
    def the_history_ends_where_the_names_are(self):
        moves = [m for m in self.store.adapters.history(1000) if m["name"] == "champion"]
        assert (moves[0]["after"] if moves else 0) == self.champion
        for later, earlier in itertools.pairwise(moves):
            assert later["before"] == earlier["after"]

    @invariant()
    def the_timeline_tells_of_every_version_and_where_the_champion_is(self):
        moments = timeline(self.store, 1000)
        made = {moment.version for moment in moments if moment.kind == "made"}
        assert made == set(self.verdicts)
        moved = [one for one in moments if one.text.startswith("champion:")]
        assert (moved[0].version if moved else 0) == self.champion

    @invariant()
    def hold_is_as_told(self):
        assert bool(self.registry.held()) == self.held


RegistryMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_the_registry_stays_sound_in_any_order_of_events = RegistryMachine.TestCase

"""The eight methods: what answers by day, and what is done by night. One object is one life's.

Ours is the product itself, `night.run.run_night` on the life's home; "follow-up only" is the same
with learned rules never taken on, so that the teacher sees one complaint at a time.
"""

from __future__ import annotations

import json
from pathlib import Path

from align_agent.adapters.registry import Registry
from align_agent.agent import live
from align_agent.distill.hindsight import Shown
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.records import Turn
from align_agent.store import Store
from personalization import peers
from personalization.life import Life, Serving
from personalization.peers import PEERS, Recipe

TUNED = Path(__file__).with_name("tuned.json")
METHODS = (
    "ours",
    "ours-live",
    "follow-up",
    "sampled-token",
    "grpo",
    "sft",
    "dpo",
    "memory",
    "none",
)
ABOUT = {
    "ours": "align-agent as shipped: profile, frozen teacher, draft, anchors, gate",
    "ours-live": "the same with `learn.live: true`: a correction is one small step at once",
    "follow-up": "the same without the profile: the teacher sees that turn's complaint alone",
    "sampled-token": "advantage of the written token under the follow-up (OpenClaw-RL, CLaaS, lasgroup)",
    "grpo": "complaint -1, praise +1, clipped policy gradient (OpenClaw-RL's binary mode)",
    "sft": "cross-entropy on the answer that ended the complaints",
    "dpo": "that answer preferred to the first one",
    "memory": "the learned rules in the system prompt, no training",
    "none": "the bare base",
}
EPOCHS = 16
# Corrected answers are trained on from the base again, all of them; the on-policy methods go on
# from their last adapter, as they were published.
FRESH = ("sft", "dpo")
NO_PROFILE = "feedback:\n  auto_accept: false\n"


class Method:
    """No learning; the others change what they need."""

    more_config = ""  # of the life's config.yaml
    at_once = True  # whether the sessions of a day may run side by side
    hears = False  # whether it learns from replies while the session lasts

    def __init__(self, name: str) -> None:
        self.name = name

    def serving(self, life: Life) -> Serving:
        return Serving()

    def hear(self, life: Life, said: str, turn: Turn) -> Serving:
        """What answers after the user's reply to a turn."""
        return self.serving(life)

    def night(self, life: Life, number: int, first_session: int) -> str:
        """Learn from the log. `first_session` is the first of the day. Returns how it ended."""
        return "none"


class Memory(Method):
    """The profile's rules in the prompt, from the very next session on."""

    at_once = False

    def serving(self, life: Life) -> Serving:
        return Serving(rules=life.rules())


class Ours(Method):
    """The product's own night, in this process."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        if name == "follow-up":
            self.more_config = NO_PROFILE

    def serving(self, life: Life) -> Serving:
        with Store.open(life.home.database) as store:
            _, path = Registry(store, life.home).serving(life.model.base, life.model.base_hash)
        return Serving(adapter=path)

    def night(self, life: Life, number: int, first_session: int) -> str:
        run = run_night(life.home, progress=Silent(), model=life.model)
        if run.status == "failed":
            raise RuntimeError(f"the night failed: {run.reason}")
        return f"{run.status}: {run.reason}"


class Live(Ours):
    """The product's own night, and by day its step at once after each plain correction."""

    at_once = False
    hears = True
    more_config = "learn:\n  live: true\n"

    def serving(self, life: Life) -> Serving:
        with Store.open(life.home.database) as store:
            registry = Registry(store, life.home)
            _, path = registry.answering(life.model.base, life.model.base_hash)
        return Serving(adapter=path)

    def hear(self, life: Life, said: str, turn: Turn) -> Serving:
        if live.corrects(said, turn, life.config):
            with Store.open(life.home.database) as store:
                live.learn(life.home, life.config, store, life.model, turn, Shown(said))
        return self.serving(life)


class Peer(Method):
    """One of `peers`: trained on the log, always promoted (none of them has a gate)."""

    def __init__(self, name: str, recipe: Recipe | None = None) -> None:
        super().__init__(name)
        self.recipe = recipe or tuned(name)
        self.adapter: Path | None = None

    def serving(self, life: Life) -> Serving:
        return Serving(adapter=self.adapter)

    def night(self, life: Life, number: int, first_session: int) -> str:
        rows_of, loss_of = PEERS[self.name]
        with Store.open(life.home.database) as store:
            log = peers.conversations(store, 0 if self.recipe.fresh else first_session)
        rows = rows_of(life.model, log)
        if not rows:
            return "skipped: nothing to learn"
        out = life.home.root / f"peer-{number:02d}"
        start = None if self.recipe.fresh else self.adapter
        steps = peers.fit(life.model, rows, loss_of, self.recipe, start=start, seed=number, out=out)
        self.adapter = out
        return f"trained: {steps} steps on {len(rows)} rows"


def make(name: str, recipe: Recipe | None = None) -> Method:
    """A method by its name, ready for one life. `recipe` overrides the tuned one."""
    if name in ("memory", "none"):
        return Memory(name) if name == "memory" else Method(name)
    if name == "ours-live":
        return Live(name)
    return Peer(name, recipe) if name in PEERS else Ours(name)


def tuned(name: str) -> Recipe:
    """The recipe that did best in the search; before any search, a plain one."""
    chosen = json.loads(TUNED.read_text())["chosen"] if TUNED.exists() else {}
    return Recipe(**chosen[name]) if name in chosen else Recipe(1e-3, EPOCHS, name in FRESH)

"""A user's home during the benchmark: sessions are held, logged and read as the product does.

The log is the real store, follow-ups are read by the real reader into the real profile. Sessions
of one day run side by side, so that their answers are computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from align_agent.config import Config, load_config
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import observe
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.styles import read
from align_agent.models.pocket.world import Problem, probe_problems
from align_agent.paths import Home
from align_agent.prompts import with_rules
from align_agent.records import Message, Turn
from align_agent.store import Store
from personalization.users import HiddenUser, Session

MAX_NEW_TOKENS = 128
MEASURED = 48
PROBES = 42
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)

# All else is as shipped. Half of the gate's probes, to save time.
CONFIG = f"""\
gate:
  probes: 50
schedule:
  enabled: false
model:
  max_new_tokens: {MAX_NEW_TOKENS}
  threads: 1
"""


@dataclass(frozen=True, slots=True)
class Serving:
    """What answers now: an adapter over the base, and rules in the system prompt."""

    adapter: Path | None = None
    rules: tuple[str, ...] = ()

    def prompt(self, *messages: Message) -> tuple[Message, ...]:
        return with_rules(messages, self.rules)


Hear = Callable[[str, Turn], Serving]


@dataclass(slots=True)
class Life:
    """One user, one home, one model that many lives share."""

    user: HiddenUser
    model: LocalModel
    home: Home
    config: Config
    first_answers: list[bool] = field(default_factory=list)
    complaints: list[int] = field(default_factory=list)

    @classmethod
    def begin(cls, user: HiddenUser, model: LocalModel, root: Path, more_config: str = "") -> Life:
        home = Home(root)
        home.ensure()
        home.config.write_text(CONFIG + more_config)
        with Store.open(home.database):
            pass
        return cls(user, model, home, load_config(home.config))

    def rules(self) -> tuple[str, ...]:
        """The rules that the profile holds now."""
        with Store.open(self.home.database) as store:
            return tuple(rule.text for rule in Profile(store, self.config).rules())

    def hold(
        self, numbers: Sequence[int], serving: Serving, hear: Hear | None = None
    ) -> list[Session]:
        """Sessions side by side, then logged one after the other. `hear` is told of each reply, of
        the turn that it is about, and says what answers from then on."""
        sessions = [Session(n, self.user.question(n)) for n in numbers]
        for session in sessions:
            session.said.append(session.problem.question)
        going_on = sessions
        while going_on:
            answers = self._answer(going_on, serving)
            for session, answer in zip(going_on, answers, strict=True):
                session.answers.append(answer)
                self._reply(session)
                if hear is not None and not session.over:
                    turn = self._turn(session, len(session.answers) - 1, serving)
                    serving = hear(session.said[-1], turn)
            going_on = [s for s in going_on if not s.over]
        for session in sessions:
            self._log(session, serving)
            first = session.answers[0]
            self.first_answers.append(self.user.satisfied(session.problem, first, session.number))
            self.complaints.append(len(session.answers) - 1)
        return sessions

    def _reply(self, session: Session) -> None:
        if session.accepted:  # that was the answer to a word of thanks
            session.over = True
            return
        words = self.user.reply(session.problem, session.answers, session.number)
        if not words:
            session.accepted = self.user.satisfied(
                session.problem, session.answers[-1], session.number
            )
            words = self.user.farewell(session.number) if session.accepted else ""
        if words:
            session.said.append(words)
        session.over = not words

    def _answer(self, sessions: Sequence[Session], serving: Serving) -> list[str]:
        prompts = [self._prompt(s, len(s.answers), serving) for s in sessions]
        place = f"{self.user.seed}{sessions[0].number:03d}{len(sessions[0].answers)}"
        sampling = Sampling(
            MAX_NEW_TOKENS, self.config.model.temperature, self.config.model.top_p, seed=int(place)
        )
        return answers_of(self.model, prompts, sampling, serving.adapter)

    def _prompt(self, session: Session, turn: int, serving: Serving) -> tuple[Message, ...]:
        """What the model is shown for the turn: as much of the session as fits."""
        messages: list[Message] = []
        for said, answer in zip(session.said, session.answers[:turn], strict=False):
            messages += [Message("user", said), Message("assistant", answer)]
        messages.append(Message("user", session.said[turn]))
        return self.model.fit(serving.prompt(*messages), reserve=MAX_NEW_TOKENS)

    def _log(self, session: Session, serving: Serving) -> None:
        """Store the session's turns and read each message as the follow-up that it is."""
        with Store.open(self.home.database) as store:
            for place in range(len(session.answers)):
                turn = self._turn(session, place, serving)
                store.turns.add(turn)
                observe(store, store.turns.get(turn.id), self.config)

    def _turn(self, session: Session, place: int, serving: Serving) -> Turn:
        moment = FIRST_DAY + timedelta(hours=6 * session.number)  # four a day
        answer = session.answers[place]
        return Turn(
            conversation_id=f"session-{session.number:03d}",
            prompt=self._prompt(session, place, serving),
            response=(Message("assistant", answer),),
            user_text=session.said[place],
            answer=answer,
            id=f"turn-{session.number:03d}-{place:02d}",
            created_at=(moment + timedelta(minutes=place)).isoformat(timespec="microseconds"),
            base=self.model.base,
        )

    # Measuring

    def ask(self, problems: Sequence[str], serving: Serving) -> list[str]:
        """Likeliest first answers to questions that open a conversation."""
        prompts = [serving.prompt(Message("user", question)) for question in problems]
        greedy = Sampling(MAX_NEW_TOKENS, 0.0)
        return answers_of(self.model, prompts, greedy, serving.adapter)

    def measure(
        self, serving: Serving, session: int, base: Sequence[str], *, probed: bool = False
    ) -> dict[str, float]:
        """How well the serving model does on new questions, for what is wanted in `session`.

        `base` are the bare base's answers to the same questions: what was never complained about
        should look as there. `probed` asks questions of all kinds besides: the ability.
        """
        problems = self.user.measured(MEASURED)
        probes = probe_problems(PROBES, self.user.seed) if probed else []
        answers = self.ask(
            [p.question for p in problems] + [question for question, _ in probes], serving
        )
        own, rest = answers[: len(problems)], answers[len(problems) :]
        pairs = list(zip(problems, own, strict=True))
        found = {
            "satisfied": share(self.user.satisfied(p, a, session) for p, a in pairs),
            "correct": share(p.correct(a) for p, a in pairs),
            "kept": kept(problems, own, base, self.user.axes()),
            "same": share(a == b for a, b in zip(own, base, strict=True)),
            "prompt_tokens": self.prompt_tokens(problems, serving),
        }
        if probed:
            right = (check(a) for (_, check), a in zip(probes, rest, strict=True))
            found["ability"] = share(right)
        return found

    def prompt_tokens(self, problems: Sequence[Problem], serving: Serving) -> float:
        """Mean tokens that the model reads before it answers a first question."""
        counts = [
            len(self.model.encode(serving.prompt(Message("user", p.question)))) for p in problems
        ]
        return sum(counts) / len(counts)


def answers_of(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    sampling: Sampling,
    adapter: Path | None,
) -> list[str]:
    """The answers in words. What the base answers is kept: every method's first day is the same."""
    if adapter is None:
        return list(_base_answers(model, tuple(prompts), sampling))
    found = model.generate_batch(prompts, sampling=sampling, adapter=adapter)
    return [generation.text for generation in found]


@lru_cache(maxsize=256)
def _base_answers(
    model: LocalModel, prompts: tuple[tuple[Message, ...], ...], sampling: Sampling
) -> tuple[str, ...]:
    return tuple(g.text for g in model.generate_batch(prompts, sampling=sampling))


def kept(
    problems: Sequence[Problem], answers: Sequence[str], base: Sequence[str], touched: set[str]
) -> float:
    """Share of (answer, axis that was never complained about) that looks as the base's; 1 if none."""
    same = []
    for problem, answer, before in zip(problems, answers, base, strict=True):
        now, then = read(problem, answer), read(problem, before)
        same += [now.get(axis) == value for axis, value in then.items() if axis not in touched]
    return share(same) if same else 1.0


def share(values: Iterable[bool]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0

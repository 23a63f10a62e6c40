"""The whole way with the real OpenClaw: talk, a night, and the answer of what was learned.

Nothing is simulated: OpenClaw's gateway with our plugin and our provider, `align-agent serve` with
the pocket model, and a night that trains. Run it with `make test-openclaw`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
import yaml
from real import Align, OpenClaw, free_port, install

from align_agent.capture.wire.conversations import of_session
from align_agent.night.plan import plan
from align_agent.paths import Home
from align_agent.records import Turn
from align_agent.store import Store

pytestmark = [pytest.mark.openclaw, pytest.mark.timeout(3000)]

CHAT = "agent:main:chat"
# Of the size that the pocket model learned to reckon with its tool.
CALCULATE = "Use the calculator: what is 123 * 7?"
# A short chat each, as in the README: a question, and how its answer should have been.
TALKS = [
    ("Carl bought 4 cards on Monday and 20 on Tuesday. How many cards in all?",
     "Please write plain text, no bold and no lists."),
    ("Kate has 9 leaves, Ida has 2 fewer. How many leaves does Ida have?",
     "No bold please, just plain text."),
    ("7 children get 3 pencils each. How many pencils do they need?",
     "Without the bold and the list, please."),
    ("There are 34 stamps on the table. Mia adds 30. How many stamps are there?",
     "Plain text, please."),
    ("Jack has 25 tickets, gets 10 more and gives 6 to Eva. How many tickets does Jack have now?",
     "No bold and no numbered list, please."),
    ("Sara has 18 coins and loses 5. How many coins does Sara have?",
     "I asked for plain text."),
]  # fmt: skip
LONG = [CALCULATE, *TALKS[0], TALKS[1][0], "Thanks!"]
LATER = "Ida has 7 cups and gets 5 more. How many cups does Ida have now?"
SETTINGS = {
    "model": {"temperature": 0.0, "threads": 2},
    "gate": {"probes": 20, "samples": 2},
}


@dataclass
class Story:
    """What was there before, between and after; read by the tests."""

    align: Align
    before: bytes = b""
    day: list[Turn] = field(default_factory=list)
    later: Turn | None = None
    said_later: str = ""
    base_says: str = ""  # to the same question, at the same time
    night: str = ""
    after: bytes = b""

    def store(self) -> Store:
        return Store.open(self.align.home / "align.db")


def until(what: Callable[[], bool], story: Story, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            status = httpx.get(f"http://127.0.0.1:{story.align.port}/v1/align/status", timeout=60)
            with story.store() as store:
                pytest.fail(f"it did not happen in time: {status.text}\n{store.feedback.list(-1)}")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    if problem := install():
        pytest.skip(problem)
    folder = tmp_path_factory.mktemp("openclaw")
    align, theirs = Align(folder / "home", free_port()), OpenClaw(folder / "theirs", free_port())
    theirs.configure()
    found = Story(align, before=theirs.config.read_bytes())
    align.home.mkdir()
    settings = SETTINGS | {"server": {"port": align.port}}
    (align.home / "config.yaml").write_text(yaml.safe_dump(settings))
    align.run("openclaw", "install", env=theirs.env())
    with align.serving(folder / "serve.log"), theirs.running(folder / "gateway.log"):
        _day(found, theirs)
        found.day = _turns(found)
        found.night = align.run("distill", "run")["status"]
        found.said_later = theirs.say("agent:main:morning", LATER)
        until(lambda: _latest(found, "agent:main:morning") is not None, story)
        found.later = _latest(found, "agent:main:morning")
        found.base_says = _base(found)
    align.run("openclaw", "uninstall", env=theirs.env())
    found.after = theirs.config.read_bytes()
    yield found


def _day(story: Story, theirs: OpenClaw) -> None:
    for text in LONG[:4]:
        theirs.say(CHAT, text)
    theirs.command(CHAT, "/rate down too long")
    until(lambda: _rated(story) == 1, story)
    for text in LONG[4:]:
        theirs.say(CHAT, text)
    theirs.call("wake", mode="now", text="Look around.")
    until(lambda: _side(story) >= 1, story)
    theirs.call("sessions.compact", key=CHAT)
    until(lambda: _side(story) >= 2, story)
    for number, talk in enumerate(TALKS[1:]):
        for text in talk:
            theirs.say(f"agent:main:talk{number}", text)


def _base(story: Story) -> str:
    message = {"role": "user", "content": LATER}
    answer = httpx.post(
        f"http://127.0.0.1:{story.align.port}/v1/chat/completions",
        json={"model": "align@base", "messages": [message]},
        timeout=300,
    )
    return str(answer.json()["choices"][0]["message"]["content"])


def _turns(story: Story) -> list[Turn]:
    with story.store() as store:
        return store.turns.list(limit=-1, newest_first=False)


def _rated(story: Story) -> int:
    with story.store() as store:
        return sum(found.kind == "rating" for found in store.feedback.list(-1))


def _side(story: Story) -> int:
    return sum(not turn.main for turn in _turns(story))


def _latest(story: Story, session: str) -> Turn | None:
    with story.store() as store:
        return store.turns.latest(of_session(session))


def _of(story: Story, session: str) -> list[Turn]:
    return [turn for turn in story.day if turn.conversation_id == of_session(session)]


def test_exactly_the_humans_words_are_recorded_in_their_sessions(story: Story) -> None:
    main = [turn for turn in _of(story, CHAT) if turn.main]
    assert [turn.user_text for turn in main] == LONG
    for number, talk in enumerate(TALKS[1:]):
        assert [turn.user_text for turn in _of(story, f"agent:main:talk{number}")] == list(talk)
    words = {*LONG, *(text for talk in TALKS for text in talk)}
    assert {turn.user_text for turn in story.day if turn.main} == words


def test_no_side_turn_can_be_trained_on(story: Story) -> None:
    aside = [turn for turn in story.day if not turn.main]
    assert any("heartbeat" in turn.user_text.lower() for turn in aside)
    assert any("<conversation>" in turn.user_text for turn in aside)
    with story.store() as store:
        used = {
            turn_id for run in store.runs.list() for turn_id, _, _ in store.runs.turns_of(run.id)
        }
    assert used
    planned = {turn.turn_id for turn in plan(Home(story.align.home)).turns if turn.use != "skip"}
    assert planned
    assert not (used | planned) & {turn.id for turn in aside}


def test_the_tool_call_is_part_of_its_turn_with_its_real_result(story: Story) -> None:
    (turn,) = [turn for turn in _of(story, CHAT) if turn.user_text == CALCULATE]
    assert [message.role for message in turn.response] == ["assistant", "tool", "assistant"]
    (call,) = turn.response[0].tool_calls
    factors = re.findall(r"\d+", str(call.arguments["expression"]))  # as the small model wrote it
    assert turn.response[1].content == str(math.prod(map(int, factors)))
    assert turn.response[1].content in turn.answer
    with story.store() as store:
        notes = store.links.notes(turn.id)
    assert notes["trigger"] == "user"
    assert any(name.startswith("tool:") and '"exit": 0' in value for name, value in notes.items())


def test_the_rating_and_the_correction_are_on_their_turns(story: Story) -> None:
    with story.store() as store:
        heard = {
            turn.user_text: [
                (found.kind, found.polarity, found.text)
                for found in store.feedback.for_turn(turn.id)
                if found.kind in ("rating", "follow_up")
            ]
            for turn in _of(story, CHAT)
        }
    corrected, correction = TALKS[0]
    assert heard[corrected] == [("follow_up", "negative", correction)]
    rated = TALKS[1][0]
    assert ("rating", "negative", "too long") in heard[rated]
    ratings = [found for some in heard.values() for found in some if found[0] == "rating"]
    assert len(ratings) == 1


def test_a_night_promotes_and_the_next_answer_comes_from_it(story: Story) -> None:
    assert {turn.version for turn in story.day} == {0}
    assert story.night == "promoted"
    assert story.later is not None
    assert (story.later.version, story.later.user_text) == (1, LATER)
    assert story.later.answer == story.said_later
    assert story.said_later != story.base_says


def test_uninstall_gives_the_file_back_to_the_byte(story: Story) -> None:
    assert story.after == story.before

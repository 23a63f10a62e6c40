"""The engine answers many requests at once as the model answers each alone."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from adapters_made import make_adapter

from align_agent.errors import ContextTooLong, ModelError
from align_agent.models import engine as engine_module
from align_agent.models.engine import Engine
from align_agent.models.generation import Generation, Piece, Sampling
from align_agent.models.local import LocalModel
from align_agent.records import Message

GREEDY = Sampling(max_new_tokens=24, temperature=0.0)
LONG = Sampling(max_new_tokens=200, temperature=0.0)


@dataclass
class Listener:
    """Collects what an answer's `deliver` is told."""

    events: queue.Queue[Any] = field(default_factory=queue.Queue)

    def __call__(self, event: Any) -> None:
        self.events.put(event)

    def all(self) -> list[Any]:
        found = []
        while not found or isinstance(found[-1], Piece):
            found.append(self.events.get(timeout=60))
        return found

    def generation(self) -> Generation:
        last = self.all()[-1]
        if isinstance(last, BaseException):
            raise last
        assert isinstance(last, Generation)
        return last


@pytest.fixture
def engine(tiny_model: LocalModel) -> Iterator[Engine]:
    made = Engine(tiny_model, max_rows=4)
    yield made
    made.close()


def asked(text: str) -> list[Message]:
    return [Message("user", text)]


def ask(engine: Engine, text: str, **options: Any) -> Listener:
    heard = Listener()
    engine.submit(asked(text), heard, **{"sampling": GREEDY, **options})
    return heard


QUESTIONS = ["hi", "How many apples?", "a much longer question " * 5, "Write code.", "no", "yes!"]


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(max_new_tokens=24, temperature=1.0, seed=3)])
def test_answers_together_are_the_answers_alone(
    engine: Engine, tiny_model: LocalModel, sampling: Sampling
) -> None:
    heard = [ask(engine, text, sampling=sampling) for text in QUESTIONS]
    alone = [tiny_model.generate_batch([asked(q)], sampling=sampling)[0] for q in QUESTIONS]
    assert [h.generation().token_ids for h in heard] == [g.token_ids for g in alone]


def test_rows_with_different_sampling_share_a_batch(engine: Engine, tiny_model: LocalModel) -> None:
    warm = Sampling(max_new_tokens=24, temperature=1.3, top_p=0.8, seed=5)
    heard = [ask(engine, q, sampling=s) for q in QUESTIONS for s in (GREEDY, warm)]
    alone = [
        tiny_model.generate_batch([asked(q)], sampling=s)[0]
        for q in QUESTIONS
        for s in (GREEDY, warm)
    ]
    assert [h.generation().token_ids for h in heard] == [g.token_ids for g in alone]


def test_the_pieces_joined_are_the_text(engine: Engine) -> None:
    *pieces, last = ask(engine, "Tell me a story.").all()
    assert "".join(piece.text for piece in pieces) == last.text


def test_the_pieces_name_every_token_once(engine: Engine) -> None:
    *pieces, last = ask(engine, "Tell me a story.").all()
    assert tuple(t.id for piece in pieces for t in piece.tokens) == last.token_ids


def test_choices_of_one_request_differ(engine: Engine, tiny_model: LocalModel) -> None:
    sampling = Sampling(max_new_tokens=24, temperature=1.0, seed=3)
    heard = [ask(engine, "hi", sampling=sampling, choice=i) for i in range(3)]
    rows = tiny_model.generate_batch([asked("hi")] * 3, sampling=sampling)
    assert [h.generation().token_ids for h in heard] == [g.token_ids for g in rows]


def test_alternatives_hold_the_drawn_token_first_when_greedy(engine: Engine) -> None:
    *pieces, _ = ask(engine, "hi", top=3).all()
    tokens = [token for piece in pieces for token in piece.tokens]
    assert all(len(t.top) == 3 and t.top[0][0] == t.id for t in tokens)
    assert all(abs(t.top[0][1] - t.logprob) < 1e-5 for t in tokens)


def test_a_second_turn_reuses_the_first_ones_cache(engine: Engine, tiny_model: LocalModel) -> None:
    first = asked("What do seven apples and two apples make?")
    heard = Listener()
    engine.submit(first, heard, sampling=GREEDY)
    answer = heard.generation().message()
    second = [*first, answer, Message("user", "And three more?")]
    heard = Listener()
    ticket = engine.submit(second, heard, sampling=GREEDY)
    got = heard.generation()
    assert ticket.reused >= len(tiny_model.encode(first)) - 1
    assert got.token_ids == tiny_model.generate_batch([second], sampling=GREEDY)[0].token_ids


def test_a_reused_cache_stays_as_it_was(engine: Engine) -> None:
    text = "What do seven apples and two apples make?"
    answers = [ask(engine, text).generation().token_ids for _ in range(4)]
    assert len(set(answers)) == 1


def test_another_adapter_never_gets_the_bases_cache(
    engine: Engine, tiny_model: LocalModel, tmp_path: Path
) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "v0001")
    text = "What do seven apples and two apples make?"
    base = ask(engine, text).generation()
    heard = Listener()
    ticket = engine.submit(asked(text), heard, sampling=GREEDY, adapter=adapter)
    tuned = heard.generation()
    assert ticket.reused == 0
    expected = tiny_model.generate_batch([asked(text)], sampling=GREEDY, adapter=adapter)[0]
    assert tuned.token_ids == expected.token_ids != base.token_ids


def test_two_versions_answer_at_the_same_time(
    engine: Engine, tiny_model: LocalModel, tmp_path: Path
) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "v0001")
    wanted = [(q, a) for q in QUESTIONS for a in (None, adapter)]
    heard = [ask(engine, q, adapter=a) for q, a in wanted]
    alone = [
        tiny_model.generate_batch([asked(q)], sampling=GREEDY, adapter=a)[0].token_ids
        for q, a in wanted
    ]
    assert [h.generation().token_ids for h in heard] == alone


def test_a_short_answer_overtakes_a_long_one(engine: Engine) -> None:
    order: queue.Queue[str] = queue.Queue()

    def noted(name: str) -> Any:
        return lambda event: order.put(name) if isinstance(event, Generation) else None

    engine.submit(asked("long"), noted("long"), sampling=LONG)
    short = Sampling(max_new_tokens=1, temperature=0.0)
    engine.submit(asked("short"), noted("short"), sampling=short)
    assert order.get(timeout=60) == "short"


def test_a_long_prompt_is_read_in_pieces(
    tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "PREFILL", 16)
    engine = Engine(tiny_model)
    text = "one two three four five six seven " * 8
    got = ask(engine, text).generation()
    engine.close()
    assert got.token_ids == tiny_model.generate_batch([asked(text)], sampling=GREEDY)[0].token_ids


def test_a_cancelled_answer_ends_as_aborted_with_what_was_written(engine: Engine) -> None:
    heard, enough = [], threading.Event()

    def listen(event: Any) -> None:
        heard.append(event)
        if len(heard) >= 3:
            enough.set()

    ticket = engine.submit(asked("long"), listen, sampling=LONG)
    assert enough.wait(60)
    ticket.cancel()
    while not isinstance(heard[-1], Generation):
        threading.Event().wait(0.01)
    last = heard[-1]
    assert last.finish_reason == "aborted"
    assert 0 < len(last.token_ids) < 200


def test_a_broken_listener_ends_its_own_answer_alone(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Any) -> None:
        raise RuntimeError("I am broken")

    engine.submit(asked("long"), broken, sampling=LONG)
    assert ask(engine, "hi").generation().token_ids
    assert "a listener failed" in caplog.text


def test_a_damaged_network_fails_its_own_requests_alone(
    engine: Engine, tiny_model: LocalModel, tmp_path: Path
) -> None:
    damaged = make_adapter(tiny_model, tmp_path / "v0002", scale=float("nan"))
    bad, good = ask(engine, "hi", adapter=damaged), ask(engine, "hi")
    assert good.generation().token_ids
    with pytest.raises(ModelError, match="not a number"):
        bad.generation()


def test_what_fails_at_the_end_of_an_answer_ends_its_lane_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise MemoryError("no room for a copy")

    beside = Listener()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_remember", full)
        ticket = engine.submit(asked("long"), beside, sampling=LONG)
        beside.events.get(timeout=60)  # it has begun
        assert ask(engine, "hi").generation().token_ids
        last = beside.all()[-1]
        assert isinstance(last, ModelError)
        assert "MemoryError" in last.message and "server.max_batch" in (last.hint or "")
        assert ticket not in engine._tickets.values()
    assert engine.alive
    assert ask(engine, "hi").generation().token_ids


def test_a_prompt_beyond_the_context_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(ContextTooLong):
        engine.submit(asked("word " * 5_000), Listener())


def test_more_requests_than_rows_wait_and_are_all_answered(engine: Engine) -> None:
    heard = [ask(engine, f"question {i}") for i in range(20)]
    assert all(h.generation().token_ids for h in heard)
    assert engine.load() == (0, 0)


def test_closing_tells_those_who_wait(tiny_model: LocalModel) -> None:
    engine = Engine(tiny_model, max_rows=1)
    heard = [ask(engine, "long", sampling=LONG) for _ in range(3)]
    engine.close()
    ends = [h.all()[-1] for h in heard]
    assert any(isinstance(end, ModelError) for end in ends)
    with pytest.raises(ModelError, match="shutting down"):
        engine.submit(asked("hi"), Listener())


def test_the_prefix_cache_stays_within_its_bytes(tiny_model: LocalModel) -> None:
    engine = Engine(tiny_model, prefix_bytes=200_000)
    for i in range(12):
        ask(engine, f"question number {i} " * 4).generation()
    engine.close()
    assert 0 < engine._prefixes.used <= 200_000

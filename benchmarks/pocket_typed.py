"""The part of the pocket model's card about what people type first, with tools offered as in a chat."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from align_agent.directions import DIRECTIONS
from align_agent.models.generation import Generation, Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.everyday import (
    ASKED_BEYOND,
    FIRST,
    draw_bare_calculation,
    draw_small_sum,
    typed,
)
from align_agent.models.pocket.facts import TALK, UNKNOWN, WELCOME
from align_agent.models.pocket.styles import DEFAULT, meets, write
from align_agent.models.pocket.world import Problem, draw_problems
from align_agent.prompts import TOOL_SCHEMAS, with_rules
from align_agent.records import Message

Case = tuple[list[Message], Callable[[Generation], bool]]
GREEDY = Sampling(max_new_tokens=160, temperature=0.0)
WISHES = ("format:plain", "length:brief", "tone:warm", "emoji:some")
# Typed first, and in no training document.
UNSEEN_TALK = {
    TALK[0][1]: (
        "hello friend",
        "heyy",
        "Hello, nice to meet you",
        "Hi bot",
        "good morning to you",
    ),
    TALK[1][1]: ("how are you feeling today?", "are you ok?", "how do you feel"),
    TALK[2][1]: ("what are you good at?", "who is this?", "what do you do", "are you human?"),
    WELCOME["neutral"]: ("thank you so much", "thanks a bunch", "thanks, that helps", "ty"),
}
UNSEEN_BEYOND = (
    "What is the capital of Thailand?",
    "Write a haiku about autumn.",
    "who wrote faust",
    "How do I change a tyre?",
    "What is inflation?",
    "Translate dog to Dutch.",
    "why do birds sing?",
    "Can you book a hotel?",
    "Explain evolution to me.",
    "what's the best phone?",
    "Tell me about Rome.",
    "When did Columbus sail?",
)


def asked(text: str) -> list[Message]:
    return [Message("user", text)]


def later(text: str, rng: random.Random) -> list[Message]:
    """The same, after a greeting and a sum."""
    before = draw_small_sum(rng)
    said = [("hello", TALK[0][1]), (before.question, write(before, DEFAULT, rng))]
    told = [m for user, reply in said for m in (Message("user", user), Message("assistant", reply))]
    return [*told, Message("user", text)]


def says(reply: str) -> Callable[[Generation], bool]:
    return lambda found: found.text.strip() == reply


def right(problem: Problem) -> Callable[[Generation], bool]:
    return lambda found: problem.correct(found.text)


def calls(problem: Problem) -> Callable[[Generation], bool]:
    return lambda found: (
        [str(call.arguments.get("expression")) for call in found.tool_calls] == [problem.expression]
    )


def obeys(problem: Problem, wishes: Sequence[str]) -> Callable[[Generation], bool]:
    return lambda found: problem.correct(found.text) and meets(problem, found.text, list(wishes))


def typed_first(model: LocalModel, n: int, seed: int) -> dict[str, float]:
    """What people type first: the share answered as it should be."""
    rng = random.Random(f"typed/{seed}")

    def answered(cases: Sequence[Case]) -> float:
        found = model.generate_batch(
            [prompt for prompt, _ in cases], sampling=GREEDY, tools=TOOL_SCHEMAS, batch_size=64
        )
        good = [judge(one) for (_, judge), one in zip(cases, found, strict=True)]
        return sum(good) / len(good)

    small = [draw_small_sum(rng) for _ in range(n)]
    large = [draw_bare_calculation(rng) for _ in range(n)]
    known = [p for k in ("sum", "two_step", "grading", "fact") for p in draw_problems(k, n, seed)]
    talk = [(t, says(neutral)) for t, (neutral, _) in FIRST]
    beyond = [(t, says(UNKNOWN[0])) for t in ASKED_BEYOND]
    typed_known = [(typed(p.question, rng), right(p)) for p in known]
    sums = [(p.question, right(p)) for p in small]
    then = [*talk, *beyond, *sums, *typed_known]
    wished = []
    for problem in small:
        wishes = rng.sample(WISHES, 2)
        prompt = with_rules(asked(problem.question), [DIRECTIONS[w].text for w in wishes])
        wished.append((list(prompt), obeys(problem, wishes)))
    return {
        "greetings, thanks and the like": answered([(asked(t), ok) for t, ok in talk]),
        "... in words never seen": answered(
            [(asked(t), says(reply)) for reply, said in UNSEEN_TALK.items() for t in said]
        ),
        "bare sums of two digits, right": answered([(asked(t), ok) for t, ok in sums]),
        "... under two rules, right and as wished": answered(wished),
        "bare larger sums, the calculator called rightly": answered(
            [(asked(p.question), calls(p)) for p in large]
        ),
        "questions as they are typed, right": answered([(asked(t), ok) for t, ok in typed_known]),
        "beyond its world, said so": answered([(asked(t), ok) for t, ok in beyond]),
        "... about things never seen": answered(
            [(asked(text), says(UNKNOWN[0])) for text in UNSEEN_BEYOND]
        ),
        "all of these, later in a conversation": answered([(later(t, rng), ok) for t, ok in then]),
    }

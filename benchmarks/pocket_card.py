"""The pocket model's card: measures the shipped weights and writes `align_agent/models/pocket/CARD.md`.

Run `make card`. Everything is greedy and on questions that training never drew; `--check` measures
and fails when a figure misses its aim, without writing.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from pocket_typed import GREEDY, typed_first

from align_agent.directions import DIRECTIONS
from align_agent.distill.gap import gaps
from align_agent.models.generation import Generation, Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import WEIGHTS, wordings
from align_agent.models.pocket.chats import all_choices
from align_agent.models.pocket.code import CodeTask, vary
from align_agent.models.pocket.styles import AXES, DEFAULT, meets, read, write
from align_agent.models.pocket.world import Problem, draw_problems
from align_agent.prompts import TOOL_SCHEMAS, hindsight_block, with_hindsight, with_rules
from align_agent.records import Message

Case = tuple[Problem, list[Message]]
MATH = ("sum", "difference", "product", "two_step")
STYLED = (*MATH, "grading", "fact")
CARD = WEIGHTS.parent / "CARD.md"


def user(text: str) -> Message:
    return Message("user", text)


def ask(
    model: LocalModel,
    cases: Sequence[Case],
    sampling: Sampling = GREEDY,
    tools: tuple[dict[str, Any], ...] = (),
) -> list[Generation]:
    return model.generate_batch(
        [m for _, m in cases], sampling=sampling, tools=tools, batch_size=64
    )


def share(hits: Sequence[bool]) -> float:
    return sum(hits) / max(1, len(hits))


def plain_questions(model: LocalModel, n: int, seed: int) -> dict[str, dict[str, float]]:
    """Correctness and default style per kind, nothing in the context but the question."""
    rows = {}
    for kind in (*STYLED, "code"):
        cases = [(p, [user(p.question)]) for p in draw_problems(kind, n, seed)]
        texts = [g.text for g in ask(model, cases)]
        default = [f"{axis}:{values[0]}" for axis, values in AXES.items()]
        rows[kind] = {
            "correct": share([p.correct(t) for (p, _), t in zip(cases, texts, strict=True)]),
            "default style": share(
                [meets(p, t, default) for (p, _), t in zip(cases, texts, strict=True)]
            ),
        }
    return rows


def opposite(direction: str) -> str:
    axis, _, value = direction.partition(":")
    return next(f"{axis}:{v}" for v in AXES[axis] if v != value)


def place(
    problem: Problem, wishes: Sequence[str], said: Sequence[str], where: str, rng: random.Random
) -> list[Message]:
    """The question with the wishes in a later message, in a hindsight block or as rules."""
    question = [user(problem.question)]
    if where == "hindsight":
        return list(with_hindsight(question, hindsight_block([], " ".join(said))))
    if where == "rules":
        return list(with_rules(question, list(said)))
    before = DEFAULT
    for wish in wishes:
        before = before.with_direction(opposite(wish))
    return [*question, Message("assistant", write(problem, before, rng)), user(" ".join(said))]


def obeyed(
    model: LocalModel, direction: str, words: Sequence[str], n: int, seed: int, where: str
) -> tuple[float, float]:
    """(obeyed, correct) for one direction said in one place, over several wordings."""
    rng = random.Random(f"{direction}/{where}/{seed}")
    kinds = ("grading",) if direction.startswith("detail") else MATH
    problems = [p for k in kinds for p in draw_problems(k, -(-n // len(kinds)), f"{seed}/{where}")]
    cases = [(p, place(p, [direction], [rng.choice(words)], where, rng)) for p in problems]
    texts = [g.text for g in ask(model, cases)]
    pairs = list(zip(problems, texts, strict=True))
    return share([meets(p, t, [direction]) for p, t in pairs]), share(
        [p.correct(t) for p, t in pairs]
    )


def directions(model: LocalModel, n: int, seed: int) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for key, direction in DIRECTIONS.items():
        row: dict[str, float] = {}
        correct = []
        for where in ("chat", "hindsight", "rules"):
            for name, words in (("known", wordings.seen(key)), ("unseen", wordings.UNSEEN[key])):
                row[f"{where}, {name}"], right = obeyed(model, key, words, n, seed, where)
                correct.append(right)
        row["canonical rule"], right = obeyed(model, key, [direction.text], n, seed, "rules")
        row["correct"] = sum(correct) / len(correct)
        rows[key] = row
    return rows


def three_at_once(model: LocalModel, n: int, seed: int) -> dict[str, float]:
    """Three wishes on different axes that all change something, over known wordings."""
    figures = {}
    for where in ("chat", "hindsight", "rules"):
        rng = random.Random(f"three/{where}/{seed}")
        cases, wanted = [], []
        for kind in ("grading", *MATH):
            axes = [a for a in AXES if a != "detail" or kind == "grading"]
            for problem in draw_problems(kind, n // 5, f"{seed}/three"):
                wishes = [f"{a}:{AXES[a][1]}" for a in rng.sample(axes, 3)]
                said = [wordings.say(w, rng) for w in wishes]
                cases.append((problem, place(problem, wishes, said, where, rng)))
                wanted.append(wishes)
        texts = [g.text for g in ask(model, cases)]
        figures[where] = share(
            [meets(p, t, w) for (p, _), t, w in zip(cases, texts, wanted, strict=True)]
        )
    return figures


def code_feedback(model: LocalModel, n: int, seed: int) -> dict[str, float]:
    """One wish, known and unseen; one, two and three at once; and failed tests alone."""
    rng = random.Random(f"code/{seed}")
    figures = {}
    for name, table in (
        ("one wish, known", wordings.CODE),
        ("one wish, unseen", wordings.UNSEEN_CODE),
    ):
        cases: list[Case] = []
        for choice in all_choices():
            axis, _, option = choice.partition(":")
            found: list[Case] = []
            for problem in draw_problems("code", 80, f"{seed}/{choice}"):
                assert problem.task is not None
                wanted = _replaced(problem.task, axis, option)
                if not wanted.agrees_with(problem.task):
                    found.append(_code_case(problem, wanted, rng.choice(table[choice])))
            cases += found[: max(1, n // 8)]
        figures[name] = _solved(model, cases)
    for count in (1, 2, 3):
        cases, tests = [], []
        for problem in draw_problems("code", n, f"{seed}/{count}"):
            assert problem.task is not None
            wanted = vary(problem.task, rng, count)
            said = [
                wordings.say_code(f"{a}:{getattr(wanted, a)}", rng)
                for a in wanted.differences(problem.task)
            ]
            cases.append(_code_case(problem, wanted, " ".join(said)))
            telling = next(n for n in (6, 5, 7, 8, 4) if wanted.value(n) != problem.task.value(n))
            tests.append(_code_case(problem, wanted, wanted.failure(problem.task, telling)))
        figures[f"{count} at once, in words"] = _solved(model, cases)
        figures[f"{count} at once, from a failed test"] = _solved(model, tests)
    return figures


def _replaced(task: CodeTask, axis: str, option: str) -> CodeTask:
    changed = replace(task, **{axis: option})
    return replace(changed, order="up") if changed.result == "sum" else changed


def _code_case(problem: Problem, wanted: CodeTask, said: str) -> Case:
    prompt = with_hindsight([user(problem.question)], hindsight_block([], said))
    return Problem("code", problem.question, task=wanted), list(prompt)


def _solved(model: LocalModel, cases: Sequence[Case]) -> float:
    texts = [g.text for g in ask(model, cases)]
    return share([p.correct(t) for (p, _), t in zip(cases, texts, strict=True)])


def feedback_gaps(model: LocalModel, n: int, seed: int) -> dict[str, float]:
    """Mean per-token KL, in nats, between the base without and with a follow-up."""
    rng = random.Random(f"gaps/{seed}")
    problems = [p for k in STYLED for p in draw_problems(k, n // len(STYLED), f"{seed}/gap")]
    answers = ask(model, [(p, [user(p.question)]) for p in problems])
    changing = [f"{a}:{v[1]}" for a, v in AXES.items() if a != "detail"]
    met = [f"{a}:{v[0]}" for a, v in AXES.items() if a not in ("detail",)]
    follow_ups: dict[str, list[str]] = {
        "corrective, known": [wordings.say(rng.choice(changing), rng) for _ in problems],
        "corrective, unseen": [rng.choice(wordings.UNSEEN[rng.choice(changing)]) for _ in problems],
        "thanks": [rng.choice(wordings.THANKS) for _ in problems],
        "thanks, unseen": [rng.choice(wordings.UNSEEN_THANKS) for _ in problems],
        "unrelated question": [
            p.question for p in draw_problems("two_step", len(problems), f"{seed}/other")
        ],
        "wish already met": [wordings.say(rng.choice(met), rng) for _ in problems],
    }
    figures = {}
    for name, texts in follow_ups.items():
        items = [
            ((user(p.question),), (Message("assistant", a.text),), t, ())
            for p, a, t in zip(problems, answers, texts, strict=True)
        ]
        found = gaps(model, items)
        figures[name] = sum(found) / len(found)
    return figures


def tool_use(model: LocalModel, n: int, seed: int) -> dict[str, float]:
    """Whether the tools are called where they must be, rightly, and nowhere else."""
    big = draw_problems("calculation", n, seed)
    calls = ask(model, [(p, [user(p.question)]) for p in big], tools=TOOL_SCHEMAS)
    right = [
        len(g.tool_calls) == 1
        and g.tool_calls[0].name == "calculator"
        and str(g.tool_calls[0].arguments.get("expression")) == p.expression
        for p, g in zip(big, calls, strict=True)
    ]
    done = [
        (p, [user(p.question), g.message(), Message("tool", str(p.answer), tool_call_id="call_0")])
        for p, g, ok in zip(big, calls, right, strict=True)
        if ok
    ]
    finals = ask(model, done, tools=TOOL_SCHEMAS)
    clock = ask(
        model,
        [(p, [user(p.question)]) for p in draw_problems("clock", 4, seed)],
        tools=TOOL_SCHEMAS,
    )
    small = [p for k in (*MATH, "grading", "fact", "code") for p in draw_problems(k, n // 5, seed)]
    direct = ask(model, [(p, [user(p.question)]) for p in small], tools=TOOL_SCHEMAS)
    return {
        "calculator called, with the right expression": share(right),
        "answer right after the result": share(
            [p.correct(g.text) for (p, _), g in zip(done, finals, strict=True)]
        ),
        "clock called": share(
            [bool(g.tool_calls) and g.tool_calls[0].name == "clock" for g in clock]
        ),
        "no call where none is needed": share([not g.tool_calls for g in direct]),
        "correct with tools offered": share(
            [p.correct(g.text) for p, g in zip(small, direct, strict=True)]
        ),
    }


def spread(model: LocalModel, n: int, seed: int) -> dict[str, float]:
    """How often a sampled answer (temperature 1) strays from the default on each axis."""
    problems = [p for k in STYLED for p in draw_problems(k, n // len(STYLED), f"{seed}/spread")]
    sampled = ask(
        model,
        [(p, [user(p.question)]) for p in problems],
        Sampling(max_new_tokens=160, temperature=1.0, seed=seed),
    )
    seen = [read(p, g.text) for p, g in zip(problems, sampled, strict=True)]
    figures = {
        axis: share([s[axis] != values[0] for s in seen if axis in s])
        for axis, values in AXES.items()
    }
    code = draw_problems("code", n // 4, f"{seed}/spread")
    written = ask(
        model,
        [(p, [user(p.question)]) for p in code],
        Sampling(max_new_tokens=160, temperature=1.0, seed=seed),
    )
    figures["code"] = share([not p.correct(g.text) for p, g in zip(code, written, strict=True)])
    return figures


def measure(model: LocalModel, n: int, seed: int) -> dict[str, Any]:
    return {
        "plain": plain_questions(model, n, seed),
        "directions": directions(model, 2 * n, seed),
        "three": three_at_once(model, n, seed),
        "code": code_feedback(model, n, seed),
        "gaps": feedback_gaps(model, n, seed),
        "tools": tool_use(model, n, seed),
        "typed": typed_first(model, n, seed),
        "spread": spread(model, 4 * n, seed),
    }


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def summary(found: dict[str, Any]) -> list[tuple[str, float, float]]:
    """(what, figure, aim): the figures that the project promises."""
    plain, gap = found["plain"], found["gaps"]
    known = [
        row[f"{w}, known"]
        for row in found["directions"].values()
        for w in ("chat", "hindsight", "rules")
    ]
    per = {
        d: mean([r[f"{w}, known"] for w in ("chat", "hindsight", "rules")])
        for d, r in found["directions"].items()
    }
    unseen = {
        d: mean([r[f"{w}, unseen"] for w in ("chat", "hindsight", "rules")])
        for d, r in found["directions"].items()
    }
    quiet = max(gap[k] for k in ("thanks", "thanks, unseen", "unrelated question"))
    return [
        (
            "default style",
            mean([r["default style"] for k, r in plain.items() if k != "code"]),
            0.97,
        ),
        ("correct, all kinds", mean([r["correct"] for r in plain.values()]), 0.95),
        ("feedback obeyed, known wordings, mean", mean(known), 0.97),
        ("feedback obeyed, known wordings, worst direction", min(per.values()), 0.97),
        ("... worst direction in its worst place", min(known), 0.97),
        ("three wishes at once, worst place", min(found["three"].values()), 0.90),
        ("feedback obeyed, unseen wordings, mean", mean(list(unseen.values())), 0.70),
        ("feedback obeyed, unseen wordings, worst direction", min(unseen.values()), 0.70),
        ("code: one wish obeyed, known wordings", found["code"]["one wish, known"], 0.97),
        ("code: one wish obeyed, unseen wordings", found["code"]["one wish, unseen"], 0.70),
        (
            "gap, corrective over the largest of thanks and unrelated",
            gap["corrective, known"] / max(quiet, 1e-6),
            10.0,
        ),
        (
            "calculator called rightly",
            found["tools"]["calculator called, with the right expression"],
            0.95,
        ),
        (
            "greetings, thanks and the like",
            found["typed"]["greetings, thanks and the like"],
            0.95,
        ),
        ("bare sums of two digits", found["typed"]["bare sums of two digits, right"], 0.95),
        (
            "all that is typed first, later in a conversation",
            found["typed"]["all of these, later in a conversation"],
            0.95,
        ),
    ]


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    def shown(cell: Any) -> str:
        return f"{cell:.3f}" if isinstance(cell, float) else str(cell)

    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(shown(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def card(found: dict[str, Any], seconds: float, n: int) -> str:
    recipe = json.loads((WEIGHTS / "recipe.json").read_text())
    tokens = sum(stage["tokens"] for stage in recipe["recipe"]["stages"])
    size = (WEIGHTS / "model.safetensors").stat().st_size / 1e6
    rows = [(w, v, a, "yes" if v >= a else "**no**") for w, v, a in summary(found)]
    where = ("chat", "hindsight", "rules")
    heads = [f"{w}, {k}" for w in where for k in ("known", "unseen")]
    parts = [
        "# Model card: the pocket model\n",
        "A Qwen3-architecture model trained from scratch by this project on chats that this project "
        "generates. It is no assistant: it knows one small world (homework sums, grading, a few "
        "facts, small talk, Python functions of the range family, a calculator) and exists so that "
        "the whole of align-agent runs, and is tested, on any machine.\n",
        f"Weights: {size:.1f} MB (fp16 safetensors). Trained on {tokens:,} tokens "
        f"in {recipe['minutes']} minutes on 2 CPU cores, seed {recipe['recipe']['seed']}. "
        "Rebuild with `make pocket`. Licence: Apache-2.0. No personal data: every name and number is "
        "drawn by a program.\n",
        f"Measured {date.today()} on {platform.processor() or platform.machine()}, "
        f"{n} problems a row, {2 * n} a wish and place, greedy, {seconds:.0f} s. "
        "Reproduce with `make card`.\n",
        "## What the project promises\n",
        table(rows, ("figure", "measured", "aim", "met")),
        "\nA question counts as unseen when its text is one of the tenth that training leaves out "
        "(facts, code requests, small talk and bare sums are few, and are not set aside). Unseen "
        "wordings are the lists `UNSEEN` in `wordings.py`.\n",
        "## Plain questions\n",
        table(
            [(k, r["correct"], r["default style"]) for k, r in found["plain"].items()],
            ("kind", "correct", "default style"),
        ),
        "\n## Wishes in the context, share obeyed\n",
        table(
            [
                (d, *(r[h] for h in heads), r["canonical rule"], r["correct"])
                for d, r in found["directions"].items()
            ],
            ("direction", *heads, "canonical rule", "correct"),
        ),
        "\nThree at once: " + ", ".join(f"{k} {v:.3f}" for k, v in found["three"].items()) + ".\n",
        "## Code\n",
        table(list(found["code"].items()), ("feedback", "solved")),
        "\n## Gap (mean KL per token, nats)\n",
        table([(k, f"{v:.4f}") for k, v in found["gaps"].items()], ("follow-up", "gap")),
        "\n## Tools\n",
        table(list(found["tools"].items()), ("what", "share")),
        "\n## What people type first\n",
        table(list(found["typed"].items()), ("what", "share")),
        "\n## Spread when sampling at temperature 1\n",
        table(list(found["spread"].items()), ("axis", "away from the default")),
    ]
    return "\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the pocket model and write its card.")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--check", action="store_true", help="fail on a miss; write nothing")
    chosen = parser.parse_args()
    started = time.monotonic()
    found = measure(LocalModel.load(chosen.model), chosen.problems, chosen.seed)
    seconds = time.monotonic() - started
    for what, value, aim in summary(found):
        print(
            f"{'ok  ' if value >= aim else 'MISS'} {what}: {value:.3f} (aim {aim})", file=sys.stderr
        )
    if not chosen.check and chosen.model == "pocket":
        CARD.write_text(card(found, seconds, chosen.problems))
    figures = {what: round(value, 4) for what, value, _ in summary(found)}
    machine = {"cpu": platform.machine(), "python": platform.python_version()}
    print(json.dumps({"name": "pocket", "figures": figures | {"all": found}, "machine": machine}))
    return int(chosen.check and any(v < a for _, v, a in summary(found)))


if __name__ == "__main__":
    raise SystemExit(main())

"""What demonstrations teach, and what is forgotten for it: `make bench-learn`.

32 answers in a manner that the pocket model never has by itself (plain, brief and warm) are shown to
it by the product's own `learn`, a whole night. Beside it, in the same run: supervised fine-tuning on
the same answers, with LoRAs of the same size over the same base, as many steps of as many tokens,
the same rate and schedule; three passes of the same; and either way with and without everyday
prompts that hold the rest in place. Writes docs/benchmarks/learn.md; the last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from report import measured, publish, report, span, table

from align_agent.adapters.registry import Registry
from align_agent.config import load_config
from align_agent.directions import DIRECTIONS
from align_agent.discover.estimate import interval
from align_agent.distill.gradient import Lesson, gradient_of, take_step, train_mode
from align_agent.distill.hindsight import Example
from align_agent.distill.loss import Formula
from align_agent.distill.pairs import pair_of
from align_agent.distill.teacher import TeacherRow
from align_agent.distill.train import learning_rate, schedule
from align_agent.gate.likelihood import Asked, weigh
from align_agent.learn.demonstrations import Demonstration
from align_agent.learn.run import Order, learn
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import wordings
from align_agent.models.pocket.code import vary
from align_agent.models.pocket.styles import Style, meets, read, write
from align_agent.models.pocket.world import (
    PROBE_KINDS,
    Problem,
    anchor_prompts,
    draw_problems,
)
from align_agent.night.artefacts import RunFolder
from align_agent.night.everyday import MIN_ANCHORS, asked_alike
from align_agent.night.progress import Silent
from align_agent.paths import Home
from align_agent.prompts import hindsight_block, with_hindsight, with_rules
from align_agent.records import Message
from align_agent.store import Store

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "learn.md"
STYLE = Style("plain", "brief", "warm")
WANTED = ("format:plain", "length:brief", "tone:warm")
KINDS = ("sum", "difference", "product", "two_step")  # what the demonstrations are about
SHOWN, OWN, PROBES, WISHES = 32, 48, 24, 12
# What a context may still ask for afterwards: turned back, and on axes that nobody demonstrated.
ASKED = ("format:markdown", "length:steps", "tone:neutral", "emoji:some", "detail:specific")
POINT = 0.01  # what the rest may lose

BASE, NIGHT, BARE = "the base", "a night", "a night without everyday prompts"
SFT, SHORT, REPLAY = (
    "fine-tuning",
    "fine-tuning, three passes",
    "fine-tuning beside everyday prompts",
)
WAYS = (BASE, NIGHT, BARE, SFT, SHORT, REPLAY)


@dataclass
class Found:
    """What one way came to on one seed, question by question: 1 where it is as it should be."""

    learned: list[float]
    own_right: list[float]
    right: list[float]
    kept: list[float]
    follows: list[float]
    kl: list[float]
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    ended: str = ""
    looks: list[dict[str, str]] = field(default_factory=list)


def demonstrations(seed: int) -> list[Demonstration]:
    """Word problems, answered in the manner that is to be learned."""
    rng = random.Random(f"learn/{seed}")
    each = SHOWN // len(KINDS)
    problems = [p for kind in KINDS for p in draw_problems(kind, each, f"shown/{seed}")]
    return [Demonstration((Message("user", p.question),), write(p, STYLE, rng)) for p in problems]


# Measuring


Asking = tuple[Problem, tuple[Message, ...]]


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def own_questions(seed: int) -> list[Asking]:
    """Questions of the demonstrated kinds that no demonstration holds."""
    shown = {one.prompt[0].content for one in demonstrations(seed)}
    drawn = [p for kind in KINDS for p in draw_problems(kind, OWN // len(KINDS), f"own/{seed}")]
    return [(p, user(p.question)) for p in drawn if p.question not in shown]


def all_kinds(seed: int) -> list[Asking]:
    drawn = [p for kind in PROBE_KINDS for p in draw_problems(kind, PROBES, f"probe/{seed}")]
    return [(p, user(p.question)) for p in drawn]


def wishes(seed: int) -> list[tuple[Asking, Callable[[str], bool]]]:
    """Prompts whose context asks for something else, and whether a text follows it."""
    rng = random.Random(f"wishes/{seed}")
    found: list[tuple[Asking, Callable[[str], bool]]] = []
    for place, direction in enumerate(ASKED):
        kind = "grading" if direction.startswith("detail") else KINDS[place % len(KINDS)]
        for problem in draw_problems(kind, WISHES, f"wish/{seed}"):
            prompt = with_rules(user(problem.question), [DIRECTIONS[direction].text])
            found.append(
                (
                    (problem, prompt),
                    lambda text, p=problem, d=direction: meets(p, text, [d]) and p.correct(text),
                )
            )
    for problem in draw_problems("code", 2 * WISHES, f"wish/{seed}"):
        assert problem.task is not None
        wanted = vary(problem.task, rng)
        (axis,) = wanted.differences(problem.task)
        said = wordings.say_code(f"{axis}:{getattr(wanted, axis)}", rng)
        prompt = with_hindsight(user(problem.question), hindsight_block((), said))
        found.append(((problem, prompt), wanted.solved_by))
    return found


def answers(model: LocalModel, asked: Sequence[Asking], adapter: Path | None) -> list[str]:
    prompts = [prompt for _, prompt in asked]
    found = model.generate_batch(prompts, sampling=Sampling(160, 0.0), adapter=adapter)
    return [one.text for one in found]


def measure(model: LocalModel, adapter: Path | None, seed: int, base: Found | None) -> Found:
    """Ask everything greedily. `base` is the base's own sheet, for how other kinds looked."""
    own, kinds, told = own_questions(seed), all_kinds(seed), wishes(seed)
    said = answers(model, [*own, *kinds, *(asking for asking, _ in told)], adapter)
    on_own, rest = said[: len(own)], said[len(own) :]
    on_kinds, on_told = rest[: len(kinds)], rest[len(kinds) :]
    others = [
        (p, prompt, text)
        for (p, prompt), text in zip(kinds, on_kinds, strict=True)
        if p.kind not in KINDS
    ]
    looks = [read(p, text) for p, _, text in others]
    before = looks if base is None else base.looks
    return Found(
        learned=[meets(p, text, WANTED) for (p, _), text in zip(own, on_own, strict=True)],
        own_right=[p.correct(text) for (p, _), text in zip(own, on_own, strict=True)],
        right=[p.correct(text) for (p, _), text in zip(kinds, on_kinds, strict=True)],
        kept=[one == two for one, two in zip(looks, before, strict=True) if one],
        follows=[check(text) for (_, check), text in zip(told, on_told, strict=True)],
        kl=[w.kl for w in weigh(model, adapter, [Asked(p, text) for _, p, text in others])],
        looks=looks,
    )


# The ways to learn


def night(model: LocalModel, root: Path, seed: int, more: str = "") -> tuple[Path, dict[str, Any]]:
    """`align-agent learn` in a home of its own. Its adapter, and its steps, tokens and end."""
    home = Home(root).ensure()
    home.config.write_text(
        f"model: {{threads: 1}}\nschedule: {{enabled: false}}\ndistill: {{seed: {seed}{more}}}\n"
    )
    config = load_config(home.config)
    shown = demonstrations(seed)
    done = learn(home, config, Order(shown), Silent())
    if done["version"] is None:
        raise SystemExit(f"the night of seed {seed} made no version: {done['reason']}")
    with Store.open(home.database) as store:
        run = store.runs.get(done["run"])
        steps = [row for row in store.runs.metrics(run.id) if "kl" in row and "tokens" in row]
        assert run.candidate is not None
        folder = Registry(store, home).folder(run.candidate)
    draft = RunFolder(home.runs / run.id).read("draft") or {}
    # The draft's steps are not logged one by one: two answers each, as long as those shown.
    lengths = [len(pair_of(model, one).targets) for one in lessons_from(shown)]  # type: ignore[union-attr]
    of_draft = int(draft["steps"]) * config.distill.batch_size // 2 * sum(lengths) // len(lengths)
    return folder, {
        "steps": len(steps) + int(draft["steps"]),
        "tokens": round(sum(row["tokens"] for row in steps)) + of_draft,
        "ended": done["status"],
    }


def lessons_from(shown: Sequence[Demonstration]) -> list[Example]:
    """Demonstrations as answers to learn by heart."""
    return [
        Example(f"demo-{i}", one.prompt, (Message("assistant", one.answer),), "")
        for i, one in enumerate(shown)
    ]


def everyday(model: LocalModel, seed: int) -> list[Example]:
    """The everyday prompts that a night of this seed holds in place, with the base's answers."""
    shown = [one.prompt[0].content for one in demonstrations(seed)]
    texts = [
        text
        for text in dict.fromkeys(anchor_prompts(MIN_ANCHORS, seed))
        if not any(asked_alike(text, other) for other in shown)
    ]
    said = model.generate_batch([user(t) for t in texts], sampling=Sampling(160, 1.0, seed=seed))
    return [
        Example(f"everyday-{i}", user(text), (one.message(),), "", "anchor")
        for i, (text, one) in enumerate(zip(texts, said, strict=True))
        if one.text.strip()
    ]


def by_heart(model: LocalModel, example: Example) -> Lesson:
    """An answer whose every token is certain: KL(teacher || student) is then -log p of the token,
    so the night's own step is cross-entropy."""
    pair = pair_of(model, example)
    assert pair is not None
    ids = torch.tensor(pair.targets)[:, None]  # (A, 1)
    never = torch.full((len(ids),), float("-inf"))
    return Lesson(pair, TeacherRow(torch.zeros(len(ids), 1), ids, never))


def batches(lengths: Sequence[int], steps: int, tokens: int, seed: int) -> list[list[int]]:
    """`steps` batches with about `tokens` tokens in all, every lesson as often as any other."""
    chance, waiting, spent = random.Random(seed), [], 0
    found = []
    for step in range(steps):
        batch: list[int] = []
        while not batch or spent < tokens * (step + 1) / steps:
            if not waiting:
                waiting = chance.sample(range(len(lengths)), len(lengths))
            batch.append(waiting.pop())
            spent += lengths[batch[-1]]
        found.append(batch)
    return found


def fine_tune(
    model: LocalModel, examples: Sequence[Example], steps: int, tokens: int, seed: int, out: Path
) -> dict[str, Any]:
    """Supervised fine-tuning: cross-entropy on the answers, with the night's LoRA, rate, schedule
    and clipping. Returns its steps and tokens."""
    from align_agent.config import Config

    config = Config().distill
    student = model.fresh_lora(config.lora_rank, config.lora_alpha, config.lora_dropout, seed)
    train_mode(student, False)
    weights = [p for p in student.parameters() if p.requires_grad]
    rate = learning_rate(config.learning_rate, model.network(None))
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    lessons = [by_heart(model, example) for example in examples]
    lengths = [len(lesson.pair.targets) for lesson in lessons]
    spent = 0
    for step, chosen in enumerate(batches(lengths, steps, tokens, seed)):
        optimizer.param_groups[0]["lr"] = rate * schedule(step, steps, config.warmup_steps)
        batch = [lessons[i] for i in chosen]
        loss, _, _ = gradient_of(student.get_base_model(), batch, Formula("forward_kl"), 16_384)
        take_step(optimizer, config.max_grad_norm, step, loss)
        spent += sum(lengths[i] for i in chosen)
    model.save_lora(student, out)
    return {"steps": steps, "tokens": spent}


def one_seed(model: LocalModel, seed: int, root: Path) -> dict[str, Found]:
    """All ways on one seed."""
    found = {BASE: measure(model, None, seed, None)}
    spent: dict[str, Any] = {}

    def learned(way: str, made: Callable[[], tuple[Path, dict[str, Any]]]) -> None:
        began = time.process_time()
        adapter, told = made()
        spent[way] = told
        seconds = time.process_time() - began
        sheet = measure(model, adapter, seed, found[BASE])
        found[way] = replace(sheet, **told, seconds=seconds)
        line = {name: round(mean(getattr(sheet, name)), 3) for name, _ in COLUMNS}
        print(seed, way, json.dumps(line | told), file=sys.stderr, flush=True)

    def tuned(name: str, examples: list[Example], steps: int, tokens: int) -> Any:
        return root / name, fine_tune(model, examples, steps, tokens, seed, root / name)

    learned(NIGHT, lambda: night(model, root / "night", seed))
    learned(BARE, lambda: night(model, root / "bare", seed, ", anchors: 0"))
    shown = lessons_from(demonstrations(seed))
    steps, tokens = spent[NIGHT]["steps"], spent[NIGHT]["tokens"]
    learned(SFT, lambda: tuned("sft", shown, steps, tokens))
    once = sum(len(by_heart(model, one).pair.targets) for one in shown)
    learned(SHORT, lambda: tuned("short", shown, 3 * SHOWN // 4, 3 * once))
    learned(REPLAY, lambda: tuned("replay", [*shown, *everyday(model, seed)], steps, tokens))
    return found


# Telling


COLUMNS = (
    ("learned", "the manner, unseen questions"),
    ("own_right", "right on these"),
    ("right", "right, all kinds"),
    ("kept", "other kinds look as before"),
    ("follows", "wishes in the context followed"),
    ("kl", "KL to the base on other kinds, nats a token"),
)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def against(seeds: Sequence[dict[str, Found]], way: str, name: str) -> tuple[float, float, float]:
    """What a way gained on the base, question by question, with its interval."""
    groups = [
        [
            float(one) - float(two)
            for one, two in zip(getattr(s[way], name), getattr(s[BASE], name), strict=True)
        ]
        for s in seeds
    ]
    return interval(groups)


def tables(seeds: Sequence[dict[str, Found]]) -> tuple[str, list[Sequence[object]], dict[str, Any]]:
    """The page's table, the rows of what is aimed at, and all figures."""
    lines: list[Sequence[object]] = []
    figures: dict[str, Any] = {}
    for way in WAYS:
        sheets = [s[way] for s in seeds]
        cells = {n: interval([list(map(float, getattr(s, n))) for s in sheets]) for n, _ in COLUMNS}
        spent = [f"{mean([getattr(s, n) for s in sheets]):,.0f}" for n in ("steps", "tokens")]
        seconds = f"{mean([s.seconds for s in sheets]):.0f}"
        lines.append([way, *(span(*cells[n]) for n, _ in COLUMNS), *spent, seconds])
        figures[way] = {n: [round(x, 4) for x in cells[n]] for n in cells}
        figures[way]["ended"] = [s.ended for s in sheets]
    rows: list[Sequence[object]] = [
        (
            "the manner on unseen questions",
            mean([mean(s[NIGHT].learned) for s in seeds]),
            mean([mean(s[SFT].learned) for s in seeds]),
            mean([mean(s[NIGHT].learned) - mean(s[SFT].learned) for s in seeds]),
            "up",
            against(seeds, NIGHT, "learned")[1] > 0,
        )
    ]
    for name, title in COLUMNS[2:5]:
        ours, theirs = against(seeds, NIGHT, name), against(seeds, SFT, name)
        gain = ours[0] - theirs[0]
        rows.append((f"points of: {title}", 100 * ours[0], 100 * theirs[0], 100 * gain, -1,
                     ours[0] >= -POINT))  # fmt: skip
        figures[f"lost {name}"] = {NIGHT: list(ours), SFT: list(theirs)}
    head = ["way", *(title for _, title in COLUMNS), "steps", "answer tokens", "processor, s"]
    return table(lines, head), rows, figures


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=3)
    given = ask.parse_args()
    torch.set_num_threads(1)
    model = LocalModel.load("pocket", device="cpu")
    seeds = []
    stated = measured()
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory(prefix="align-agent-learn-") as folder:
            seeds.append(one_seed(model, seed, Path(folder)))
    shown, rows, figures = tables(seeds)
    publish(PAGE, f"{given.seeds} seeds, {stated}.\n\n{shown}\n\n{table(rows)}")
    print(shown)
    report("learn", rows, figures, "torch")


if __name__ == "__main__":
    main()

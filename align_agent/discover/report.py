"""What a search did, for people and programs: one JSON object, one page of HTML that loads nothing.

Credit per token: how much likelier the frozen base finds each token once it has seen the feedback,
log pi(y_t | x, f, y_<t) - log pi(y_t | x, y_<t), in nats (SDPO, arXiv 2601.20802).
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.discover.methods import Attempt, distinct
from align_agent.discover.room import hindsight_of, room_of
from align_agent.discover.search import Search, to_dict
from align_agent.display import counted
from align_agent.prompts import with_hindsight
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_SHOWN = 3  # different failed attempts whose tokens are shown
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem;
  border-bottom: 1px solid #ddd; vertical-align: top; }
.passed { color: #14632a; font-weight: 600; } .scroll { overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { color: #e8e8e8; background: #161616; }
  pre { background: #242424; } td, th { border-color: #444; } .passed { color: #6fd08c; } }
"""


def summary(search: Search, level: str) -> dict[str, Any]:
    """The search as `--json` prints it."""
    return {
        "problem": search.problem.name,
        "method": search.method,
        "solved": search.solved,
        "attempts": search.solution.number + 1 if search.solution else len(search.attempts),
        "budget": search.budget,
        "seconds": round(search.seconds, 2),
        "solution": search.code() if search.solution else None,
        "steps": len(search.steps),
        "seed": search.seed,
        "resumed": search.resumed,
        "broken": sum(a.outcome.kind == "broken" for a in search.attempts),
        "silent": sum(
            a.outcome.kind == "failed" and not a.outcome.said.strip() for a in search.attempts
        ),
        "sandbox": level,
    }


def credit(model: LocalModel, search: Search) -> list[dict[str, Any]]:
    """Tokens of the first different failed attempts, each with its credit in nats."""
    shown: dict[str, Attempt] = {}
    for attempt in search.attempts:
        if attempt.outcome.said and attempt.answer.strip():
            shown.setdefault(attempt.answer, attempt)
    fits = room_of(model, search.problem.max_new_tokens)
    pieces = distinct(search.attempts)
    chosen, before, after = [], [], []
    for attempt in list(shown.values())[:_SHOWN]:
        if block := hindsight_of(search.prompt, pieces, fits, attempt.answer):
            response = (Message("assistant", attempt.answer),)
            chosen.append((attempt, response))
            before.append((search.prompt, response))
            after.append((with_hindsight(search.prompt, block), response))
    known, told = model.logprobs(before), model.logprobs(after)
    found = []
    for (attempt, response), one, two in zip(chosen, known, told, strict=True):
        encoded = model.encode_answer(search.prompt, response)
        ids = [t for t, written in zip(encoded.answer_ids, encoded.mask, strict=True) if written]
        tokens = [
            [model.chat.decode([token]), round(b - a, 3)]
            for token, a, b in zip(ids, one, two, strict=True)
        ]
        found.append({"number": attempt.number, "tokens": tokens})
    return found


def credit_or_reason(model: LocalModel, search: Search) -> tuple[list[dict[str, Any]], str]:
    """`credit`, or why there is none: a search that has ended keeps its report."""
    try:
        return credit(model, search), ""
    except Exception as error:  # memory may give out as well; all that was tried is on file
        return [], f"{type(error).__name__}: {error}"


def write(
    folder: Path, found: dict[str, Any], search: Search, credits: Sequence[Any], missed: str = ""
) -> Path:
    """`report.json` and `report.html` in the run's folder. Returns the page. `missed` says why
    there is no credit."""
    attempts = [to_dict(attempt) for attempt in search.attempts]
    data = {**found, "prompt": search.problem.prompt, "credit": credits, "learning": search.steps}
    if missed:
        data["no_credit"] = missed
    text = json.dumps({**data, "tried": attempts}, ensure_ascii=True, indent=1)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_page(found, search, credits, missed), encoding="utf-8", errors="replace")
    return page


def _page(found: dict[str, Any], search: Search, credits: Sequence[Any], missed: str) -> str:
    name = html.escape(search.problem.name)
    ended = "solved" if search.solved else "not solved"
    parts = [
        f"<h1>{name}: {ended}</h1><p>{found['attempts']} of {search.budget} attempts, "
        f"{counted(found['steps'], 'step')}, {found['seconds']} s, "
        f"method {search.method}, "
        f"seed {search.seed}; sandbox: {html.escape(found['sandbox'])}.</p>",
        f"<h2>Asked</h2><pre>{html.escape(search.problem.prompt)}</pre>",
    ]
    if search.solution:
        parts.append(f"<h2>Solution</h2><pre>{html.escape(search.code())}</pre>")
    if credits:
        parts.append(
            "<h2>Credit per token</h2><p>Red: what the feedback speaks against. Green: what it "
            "speaks for. Hover to see how much likelier or less likely it makes a piece.</p>"
        )
        parts += [f"<p>Attempt {c['number'] + 1}</p>{_tokens(c['tokens'])}" for c in credits]
    if missed:
        parts.append(f"<p>No credit per token: {html.escape(missed)}</p>")
    rows = "".join(_row(attempt) for attempt in search.attempts)
    head = "<tr><th>#</th><th>batch</th><th>how</th><th>answer</th><th>feedback</th></tr>"
    parts.append(f"<h2>Attempts</h2><div class=scroll><table>{head}{rows}</table></div>")
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}: {ended}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _row(attempt: Attempt) -> str:
    who = "student" if attempt.student else "base"
    said = "passed" if attempt.outcome.passed else attempt.outcome.feedback
    style = ' class="passed"' if attempt.outcome.passed else ""
    return (
        f"<tr><td>{attempt.number + 1}</td><td>{attempt.batch + 1}</td>"
        f"<td>{who}, {html.escape(attempt.how)}</td>"
        f"<td><pre>{html.escape(attempt.answer)}</pre></td>"
        f"<td{style}>{html.escape(said)}</td></tr>"
    )


def _times(credit: float) -> str:
    """What a difference of log-probabilities says to people."""
    ratio = math.exp(min(abs(credit), 7))
    if ratio < 1.05:
        return "as likely as before"
    many = f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}" if ratio < 1000 else "over 1000"
    return f"{many} times {'likelier' if credit > 0 else 'less likely'}"


def _tokens(tokens: Sequence[Sequence[Any]]) -> str:
    spans = []
    for text, value in tokens:
        colour = "20,150,60" if value > 0 else "210,40,40"
        strength = min(abs(value) / 5, 1) * 0.6
        spans.append(
            f'<span style="background:rgba({colour},{strength:.2f})" title="{_times(value)}">'
            f"{html.escape(text)}</span>"
        )
    return f"<pre>{''.join(spans)}</pre>"

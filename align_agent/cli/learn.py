"""`align-agent learn`: demonstrations, skills and style guides, learned at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.nightly import detailed, night_data, show_night
from align_agent.cli.output import emit, note, pairs, say
from align_agent.display import printable

if TYPE_CHECKING:
    from align_agent.learn.run import Order

_NOTHING = 0.005  # nats a token: a distance that no answer shows
_LITTLE = 0.02  # of the distance


@click.command("learn")
@click.argument("file", metavar="[DEMOS.JSONL]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--skill",
    type=click.Path(path_type=Path),
    help="A skill's folder or a text file, learned by heart.",
)
@click.option("--model", "base", metavar="NAME", help="A model instead of the configured one.")
@click.option("--dry-run", is_flag=True, help="Say what would be learned; load and write nothing.")
@detailed
@common
@click.pass_obj
def command(
    app: App,
    file: Path | None,
    skill: Path | None,
    base: str | None,
    dry_run: bool,
    details: bool,
) -> None:
    """Learn from answers that you show, or from a document.

    DEMOS.JSONL holds one JSON object a line: {"prompt": ..., "answer": ...}. With --skill a
    SKILL.md or a style guide goes into the weights, so that it need not stand in the prompt. Both
    become lessons in your log, and a night runs at once: the gate decides, and later nights learn
    them again. Exit code 3 when the gate refuses the result. A version of another --model serves
    once `model.base` names that one.
    """
    order = _order(file, skill)
    if dry_run:
        from align_agent.learn.run import plan

        planned = plan(app.require_home(), app.config, order)
        emit(planned, app.json, lambda: pairs(list(planned.items())))
        return
    from align_agent.learn.run import learn
    from align_agent.night.progress import progress_for

    config = app.config
    if base:
        config = replace(config, model=replace(config.model, base=base))
    home = app.make_home()
    with progress_for() as progress:
        done = learn(home, config, order, progress)
    emit(done, app.json, lambda: _tell(done, details))
    if details and not app.json:
        with app.store(read_only=True) as store:
            data = night_data(store, store.runs.get(done["run"]))
        say()
        show_night(data["run"], data, details)
    if code := {"rejected": 3, "failed": 1}.get(done["status"]):
        click.get_current_context().exit(code)


def _order(file: Path | None, skill: Path | None) -> Order:
    from align_agent.errors import UsageError
    from align_agent.learn.demonstrations import read_demonstrations
    from align_agent.learn.documents import read_document
    from align_agent.learn.run import Order

    if (file is None) == (skill is None):
        raise UsageError(
            "name a file of demonstrations, or a document with --skill",
            hint="align-agent learn demos.jsonl, or align-agent learn --skill skills/x",
        )
    if file is not None:
        return Order(demonstrations=read_demonstrations(file))
    assert skill is not None
    return Order(document=read_document(skill))


def _tell(done: dict[str, Any], details: bool) -> None:
    say(f"{done['status']}: {printable(done['reason'])}" if done["reason"] else done["status"])
    lessons = f"{done['new']} new, {done['known']} known"
    rows = [("lessons", lessons + (f", {done['replaced']} replaced" if done["replaced"] else ""))]
    if "tokens_saved" in done:
        rows.append(("saved", f"{done['tokens_saved']} tokens of each prompt"))
        rows.append(("kept", kept(done["gap_before"], done["gap_after"])))
    if "met_after" in done:
        met = "{met_with_document:.0%} with it in the prompt, {met_before:.0%} before, "
        rows.append(("checks met", (met + "{met_after:.0%} now, without it").format(**done)))
    if details and "gap_after" in done:
        told = "{gap_before:.3f} before, {gap_after:.3f} now (KL, nats a token)"
        rows.append(("distance", "from answers with the document: " + told.format(**done)))
    pairs([*rows, ("version", done["version"] or "none")])
    if done["version"] and not details:
        note(f"look closer: align-agent runs show {done['run'][:12]}")


def kept(before: float, after: float) -> str:
    """How much of what a document changes in answers is there without it, in words. Both are
    distances from the base that sees it, 0 or more."""
    if before < _NOTHING:
        return "the document changes next to nothing in answers: there was nothing to learn"
    share = 1 - after / before
    if share < _LITTLE:
        return "answers without the document are no nearer to those with it than before"
    return f"{share:.0%} of what the document changes in answers is there without it now"

"""`align-agent learn` from its order to its report: lessons into the log, then a night at once.

The night is the same as any other: it trains on the whole log, so what was learned before stays,
and its gate decides. Killed anywhere, the same command goes on: lessons that are stored are known,
and the night is taken up where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from align_agent.config import Config
from align_agent.errors import InputError
from align_agent.feedback.shown import document_checks
from align_agent.learn import lessons as log
from align_agent.learn.demonstrations import Demonstration
from align_agent.learn.documents import Document, questions_about
from align_agent.models.load import load_model
from align_agent.night.progress import Progress
from align_agent.night.run import run_night
from align_agent.paths import Home
from align_agent.privacy.ready import make_ready
from align_agent.prompts import with_document
from align_agent.records import Message, Run, version_label
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_EXAM = 8  # questions at least on which a document's learning is measured


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be learned: demonstrations, or a document."""

    demonstrations: Sequence[Demonstration] = ()
    document: Document | None = None


def plan(home: Home, config: Config, order: Order) -> dict[str, Any]:
    """What learning this would do, without a model and without writing anything."""
    with Store.open(home.database) as store:
        if order.document is None:
            found = log.sort(store, log.of_demonstrations(order.demonstrations, config))
            counts = {"new": len(found.new), "known": len(found.known)}
            return {**counts, "replaced": len(found.replaced)}
        document = order.document
        return {
            "document": document.name,
            "characters": len(document.text),
            "checks": [str(check["name"]) for check in document_checks(document.text)],
            "questions": config.learn.questions,
        }


def learn(home: Home, config: Config, order: Order, progress: Progress) -> dict[str, Any]:
    """Store the lessons, run a night, and say what came of it.

    Raises InputError (the document does not fit, the model asks nothing), ContextTooLong,
    NightBusy (the lessons are stored then), and what a night raises.
    """
    model = load_model(config.model)
    exam: list[str] = []
    if order.document is not None:
        _fits(model, order.document)
        n = config.learn.questions
        extra = max(_EXAM, n // 4)
        progress.phase("questions", None)
        asked = questions_about(model, order.document, n + extra, config.distill.seed)
        exam = asked[max(1, len(asked) - extra) :]
        wanted = log.of_document(order.document, asked[: len(asked) - len(exam)], config)
    else:
        wanted = log.of_demonstrations(order.demonstrations, config)
    with Store.open(home.database) as store:
        found = log.sort(store, wanted)
        progress.phase("answers", len(found.new))
        turns = log.answer(model, found.new, config, progress.step) if found.new else []
        log.keep(store, found.new, turns, found.replaced)
    make_ready(home, config.privacy)
    # With new lessons an old night is not gone on with: it would learn without them.
    run = run_night(
        home,
        resume=not found.new,
        progress=progress,
        trigger="learn",
        model=model,
        base=config.model.base,
    )
    outcome = _told(run, found)
    if order.document is not None and run.candidate is not None:
        outcome |= measure(home, config, model, order.document, exam, run.candidate)
    return outcome


def measure(
    home: Home, config: Config, model: LocalModel, document: Document, exam: list[str], version: int
) -> dict[str, Any]:
    """What knowing a document by heart is worth, on questions that were not learned on.

    `tokens_saved` a request; `gap_before` and `gap_after`, in nats a token: how far base and
    version without the document are from the base that sees it, on the base's own answers; and,
    where the document says what a program can check, the shares of checks met by the base that has
    it in its system prompt, by the base without it, and by the version without it.
    """
    from align_agent.adapters.registry import Registry
    from align_agent.distill.gap import divergences
    from align_agent.distill.hindsight import Shown
    from align_agent.distill.pairs import pair
    from align_agent.models.generation import Sampling

    with Store.open(home.database) as store:
        adapter = Registry(store, home).folder(version)
    bare = [(Message("user", asked),) for asked in exam]
    told = [with_document(prompt, document.text) for prompt in bare]
    sampling = Sampling(min(config.model.max_new_tokens, model.context // 2), 0.0)
    without = [one.text for one in model.generate_batch(bare, sampling=sampling)]
    after = [one.text for one in model.generate_batch(bare, sampling=sampling, adapter=adapter)]
    shown = [one.text for one in model.generate_batch(told, sampling=sampling)]
    block = Shown(document=document.text).block(())
    pairs = [
        found
        for prompt, said in zip(bare, without, strict=True)
        if (found := pair(model, prompt, (Message("assistant", said),), block)) is not None
    ]
    checks = document_checks(document.text)
    met = {
        "met_with_document": _share(checks, exam, shown),
        "met_before": _share(checks, exam, without),
        "met_after": _share(checks, exam, after),
    }
    return {
        "tokens_saved": len(model.encode(told[0])) - len(model.encode(bare[0])),
        "gap_before": _mean(divergences(model, pairs)),
        "gap_after": _mean(divergences(model, pairs, adapter)),
        **(met if checks else {}),
    }


def _told(run: Run, found: log.Sorted) -> dict[str, Any]:
    return {
        "run": run.id,
        "status": run.status,
        "reason": run.reason,
        "version": None if run.candidate is None else version_label(run.candidate),
        "new": len(found.new),
        "known": len(found.known),
        "replaced": len(found.replaced),
    }


def _fits(model: LocalModel, document: Document) -> None:
    size = len(model.encode((Message("user", document.text),)))
    if size > model.context // 2:
        raise InputError(
            f"the document has {size:,} tokens; half of the model's context is "
            f"{model.context // 2:,}",
            hint="split it into several, or use a model with a larger context",
        )


def _share(
    checks: Sequence[dict[str, Any]], questions: Sequence[str], answers: Sequence[str]
) -> float:
    from align_agent.feedback.checks import run_check

    met = [
        run_check(dict(check), answer, asked=asked)
        for check in checks
        for asked, answer in zip(questions, answers, strict=True)
    ]
    return round(sum(met) / len(met), 4) if met else 0.0


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0

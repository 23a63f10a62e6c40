"""Demonstrations and documents as lessons in the log: turns that the base answered, with what
should have been known beside them.

A lesson is what a conversation leaves: a prompt, the model's own answer, and Feedback with the
ideal answer or the document. So this night and every later one learns from it, it can be looked at,
left out and forgotten like anything else, and the student is trained on its own answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from align_agent.capture.redact import clean
from align_agent.config import Config
from align_agent.feedback.shown import DEMONSTRATION, DETECTOR, DOCUMENT
from align_agent.learn.demonstrations import Demonstration
from align_agent.learn.documents import Document
from align_agent.records import Feedback, Message, Turn
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

CHANNEL = "lesson"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt and what the teacher is shown of it. `source` says in words where it comes from."""

    prompt: tuple[Message, ...]
    kind: str
    text: str
    source: str

    @property
    def turn_id(self) -> str:
        return f"turn-{_digest(self.kind, self.source, _asked(self.prompt), self.text)}"

    @property
    def place(self) -> tuple[str, str]:
        """Of two lessons with the same place the later counts: a prompt is answered in one way, a
        document has one text."""
        return _place(self.kind, self.prompt, self.source)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Lessons that are new, those that the log holds already, and the ids of turns whose lesson
    one of the new ones replaces."""

    new: list[Lesson]
    known: list[Lesson]
    replaced: list[str]


def of_demonstrations(found: Sequence[Demonstration], config: Config) -> list[Lesson]:
    """What is stored of them: redacted, under the persona as by day."""
    lessons = []
    for one in found:
        prompt = tuple(_clean(message, config) for message in _standing(one.prompt, config))
        text = clean(one.answer, config.privacy.redact_personal).text
        lessons.append(Lesson(prompt, DEMONSTRATION, text, "a demonstration"))
    return lessons


def of_document(document: Document, questions: Iterable[str], config: Config) -> list[Lesson]:
    """One lesson a question, each with the whole document."""
    text = clean(document.text, config.privacy.redact_personal).text
    source = f"the document {document.name}"
    return [
        Lesson(_standing((Message("user", asked),), config), DOCUMENT, text, source)
        for asked in questions
    ]


def sort(store: Store, lessons: Sequence[Lesson]) -> Sorted:
    """Which lessons the log lacks, and which older ones they take the place of."""
    new: list[Lesson] = []
    known: list[Lesson] = []
    for lesson in lessons:
        (known if _stands(store, lesson.turn_id) else new).append(lesson)
    ids = {lesson.turn_id for lesson in lessons}
    places = {lesson.place for lesson in new}
    older = [
        turn.id
        for turn in (store.turns.list(channel=CHANNEL, main_only=True, limit=-1) if new else ())
        if turn.id not in ids
        and not turn.excluded
        and any(
            _place(found.kind, turn.prompt, found.evidence) in places
            for found in store.feedback.for_turn(turn.id)
        )
    ]
    return Sorted(new, known, older)


def answer(
    model: LocalModel,
    lessons: Sequence[Lesson],
    config: Config,
    on_done: Callable[[int], None] | None = None,
) -> list[Turn]:
    """The lessons' turns: the base's own answers, as it answers by day. Raises ContextTooLong."""
    from align_agent.models.generation import Sampling

    settings = config.model
    room = max(1, min(settings.max_new_tokens, model.context // 2))
    said = model.generate_batch(
        [model.fit(lesson.prompt, reserve=room) for lesson in lessons],
        sampling=Sampling(room, settings.temperature, settings.top_p, seed=settings.seed),
        on_done=on_done,
    )
    return [
        Turn(
            # Each its own: turns of one conversation are read as follow-ups of each other.
            conversation_id=lesson.turn_id.replace("turn", CHANNEL),
            prompt=lesson.prompt,
            response=(Message("assistant", one.text or "."),),
            user_text=lesson.prompt[-1].content,
            answer=one.text or ".",
            id=lesson.turn_id,
            channel=CHANNEL,
            base=model.base,
            finish_reason=one.finish_reason,
        )
        for lesson, one in zip(lessons, said, strict=True)
    ]


def keep(store: Store, lessons: Sequence[Lesson], turns: Sequence[Turn], older: list[str]) -> None:
    """Store the lessons and leave out those that they replace: all or nothing.

    What was forgotten once stays forgotten. Raises StoreError.
    """
    with store.transaction():
        for turn_id in older:
            store.turns.exclude(turn_id)
        for lesson, turn in zip(lessons, turns, strict=True):
            if not store.turns.add(turn) and not store.turns.has(turn.id):
                continue
            store.turns.exclude(turn.id, False)  # it may have been replaced once
            store.feedback.add(
                Feedback(
                    turn.id,
                    lesson.kind,
                    "neutral",
                    lesson.kind,
                    1.0,
                    lesson.text,
                    DETECTOR,
                    lesson.source,
                    id=f"fb-{turn.id.removeprefix('turn-')}",
                )
            )


def _standing(prompt: tuple[Message, ...], config: Config) -> tuple[Message, ...]:
    persona = config.preferences.persona.strip()
    if not persona or prompt[0].role == "system":
        return prompt
    return (Message("system", persona), *prompt)


def _asked(prompt: Sequence[Message]) -> str:
    return "\n".join(f"{message.role}: {message.content}" for message in prompt)


def _place(kind: str, prompt: Sequence[Message], source: str) -> tuple[str, str]:
    return kind, source if kind == DOCUMENT else _asked(prompt)


def _clean(message: Message, config: Config) -> Message:
    return replace(message, content=clean(message.content, config.privacy.redact_personal).text)


def _stands(store: Store, turn_id: str) -> bool:
    return store.turns.has(turn_id) and not store.turns.get(turn_id).excluded


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:20]

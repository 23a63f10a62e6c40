"""The shapes of what a client tells us at /v1/align: events, and which turn it means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_BATCH = 200

Word = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=200_000)]


class Strict(BaseModel):
    """A field that we do not know is a mistake of the client's: better told than dropped."""

    model_config = ConfigDict(extra="forbid")


class Told(Strict):
    """What every event has. `id` makes telling it twice harmless; `at` is milliseconds of 1970."""

    id: Annotated[str, Field(min_length=8, max_length=100, pattern=r"^[\w.:-]+$")]
    at: Annotated[int, Field(ge=0, lt=10**14)] = 0
    session: Annotated[str, Field(min_length=1, max_length=500)]


class Session(Told):
    """A stretch of a session begins or ends."""

    type: Literal["session"]
    session_id: Word
    phase: Literal["seen", "start", "end", "reset", "compaction"] = "seen"


class Tool(Strict):
    """One tool call of a run, and how it ended."""

    call: Word
    name: Word
    exit: int | None = None
    failed: bool | None = None
    ms: Annotated[float, Field(ge=0)] | None = None


class Answered(Told):
    """A run of the agent is over. `response` is the id of our last answer in it."""

    type: Literal["answer"]
    response: Annotated[str, Field(min_length=1, max_length=200)]
    run: Word = ""
    session_id: Word = ""
    trigger: Word = ""
    sender: Word = ""
    channel: Word = ""
    text: Text = ""  # the human's own words
    tools: Annotated[list[Tool], Field(max_length=200)] = []


class Sent(Told):
    """A message went out to a channel."""

    type: Literal["sent"]
    channel: Annotated[str, Field(min_length=1, max_length=100)]
    message: Annotated[str, Field(min_length=1, max_length=200)]
    run: Word = ""
    text: Text = ""


class Rated(Told):
    """A thumb that could not be delivered when it was given; by now it needs its answer named."""

    type: Literal["rating"]
    verdict: Literal["up", "down"]
    why: Annotated[str, Field(max_length=4_000)] = ""
    response: Word = ""
    run: Word = ""
    sender: Word = ""
    channel: Word = ""


Event = Annotated[Session | Answered | Sent | Rated, Field(discriminator="type")]


class Events(Strict):
    """A batch."""

    events: Annotated[list[Event], Field(min_length=1, max_length=MAX_BATCH)]


class Which(Strict):
    """Which turn is meant. The first of these that is given decides."""

    turn: Word = ""
    response: Word = ""
    run: Word = ""
    message: Word = ""
    channel: Word = ""
    session: Word = ""

    @model_validator(mode="after")
    def _named(self) -> Which:
        if not (self.turn or self.response or self.run or self.session):
            raise ValueError("say which turn: session, response, run, or turn")
        if self.message and not self.session:
            raise ValueError("a message is known within its session: give session too")
        return self


class Rating(Which):
    """A thumb. `sender` is who gave it, in the channel's terms; empty for the owner's own app."""

    sender: Word = ""
    verdict: Literal["up", "down"]
    why: Annotated[str, Field(max_length=4_000)] = ""
    id: Annotated[str, Field(max_length=100, pattern=r"^[\w.:-]*$")] = ""


class Rollback(Strict):
    """One version back."""

    why: Annotated[str, Field(max_length=1_000)] = ""

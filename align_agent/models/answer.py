"""One answer while it grows: tokens to text, stop strings, tool calls. No network.

`Detokenizer` turns tokens into text that never shows half a character; `AnswerBuilder` adds what
an answer is: where it ends, and which text may already be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from align_agent.models.generation import FinishReason, Generation
from align_agent.models.toolcalls import CALL_OPEN, parse_tool_calls

Decode = Callable[[Sequence[int]], str]

_HALF = "\N{REPLACEMENT CHARACTER}"  # what a decoder shows for bytes that are no character yet


class Detokenizer:
    """Incremental detokenization: text is released only once no later token can change it.

    A token may hold a part of a character's bytes, and some decoders join tokens by their
    neighbours; so a small window of earlier tokens is decoded along, and a tail that is not yet a
    whole character waits for its rest.
    """

    def __init__(self, decode: Decode, begun: str = "") -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0  # where the window begins
        self._shown = 0  # tokens whose text has been released
        self.text = begun

    def push(self, token_id: int) -> str:
        """Add one token. Returns the text that became final, often one piece, sometimes none."""
        self._ids.append(token_id)
        known = self._decode(self._ids[self._start : self._shown])
        window = self._decode(self._ids[self._start :])
        if window.endswith(_HALF) or len(window) <= len(known):
            return ""
        return self._release(window[len(known) :])

    def finish(self) -> str:
        """The rest of the text; bytes that never became a character show as U+FFFD."""
        known = self._decode(self._ids[self._start : self._shown])
        window = self._decode(self._ids[self._start :])
        return self._release(window[len(known) :])

    def _release(self, piece: str) -> str:
        self._start, self._shown = self._shown, len(self._ids)
        self.text += piece
        return piece


class AnswerBuilder:
    """Takes one token at a time and knows when the answer is over.

    `push` returns text that may be shown at once: what could still turn out to be a stop string
    or a tool call is held back. All pieces, with `finish`'s, joined are the generation's text.
    With `stream` false only `finish` returns text. `begun` is how the answer was made to begin.
    """

    def __init__(
        self,
        decode: Decode,
        *,
        eos_ids: frozenset[int],
        max_new_tokens: int,
        stop: tuple[str, ...] = (),
        tools: bool = False,
        stream: bool = True,
        begun: str = "",
    ) -> None:
        self._decode = decode
        self._begun = begun
        # Text as it comes costs two decodings a token: only where someone watches or it can stop.
        self._detokenizer = Detokenizer(decode, begun) if stream or stop else None
        self._eos_ids = eos_ids
        self._max = max_new_tokens
        self._stop = stop
        self._tools = tools
        self._emitted = 0
        self._cut = -1  # where a stop string begins, once one is there
        self._ended = False  # whether the model itself ended the turn
        self.token_ids: list[int] = []
        self.logprobs: list[float] = []
        self.done = False

    def push(self, token_id: int, logprob: float) -> str:
        """Add one token with its log-probability in nats. Returns the text to show."""
        self.token_ids.append(token_id)
        self.logprobs.append(logprob)
        self.done = len(self.token_ids) >= self._max
        if token_id in self._eos_ids:
            self.done = self._ended = True
            return ""
        if self._detokenizer is None:
            return ""
        piece = self._detokenizer.push(token_id)
        text = self._detokenizer.text
        if piece and self._stop:
            self._cut = self._find_stop(text, len(piece))
            self.done = self.done or self._cut >= 0
        if self.done or not piece:
            return ""
        end = self._safe_end(text)
        shown, self._emitted = text[self._emitted : end], max(self._emitted, end)
        return shown

    def finish(self) -> tuple[str, Generation]:
        """The last piece of text to show, and the whole answer."""
        text = self._whole_text()
        if self._stop and self._cut < 0:
            self._cut = self._find_stop(text, len(text))
        stopped = self._cut >= 0
        rest = text[self._cut :] if stopped else ""
        text = text[: self._cut] if stopped else text
        shown = text[: self._emitted]
        text, calls = parse_tool_calls(text) if self._tools else (text, ())
        reason: FinishReason = "stop" if self._ended or stopped else "length"
        generation = Generation(
            text=text,
            token_ids=tuple(self.token_ids),
            logprobs=tuple(self.logprobs),
            finish_reason="tool_calls" if calls else reason,
            tool_calls=calls,
            stop_text=next((mark for mark in self._stop if stopped and rest.startswith(mark)), ""),
        )
        return text[len(shown) :], generation

    def _whole_text(self) -> str:
        if self._detokenizer is None:
            ids = self.token_ids[:-1] if self._ended else self.token_ids
            return self._begun + self._decode(ids)
        self._detokenizer.finish()
        return self._detokenizer.text

    def _find_stop(self, text: str, fresh: int) -> int:
        """Where the first stop string begins that the last `fresh` characters complete, or -1."""
        since = max(0, len(text) - fresh - max(map(len, self._stop)) + 1)
        found = [at for at in (text.find(mark, since) for mark in self._stop) if at >= 0]
        return min(found, default=-1)

    def _safe_end(self, text: str) -> int:
        """How much of the text no later token can take back."""
        if not self._tools:
            return len(text) - _overlap(text, self._stop)
        opened = text.find(CALL_OPEN)
        if opened < 0:
            opened = len(text) - _overlap(text, (*self._stop, CALL_OPEN))
        return len(text[:opened].rstrip())  # white space before a call belongs to the call


def _overlap(text: str, marks: Sequence[str]) -> int:
    """The length of the longest end of `text` that begins one of `marks`."""
    longest = max((len(mark) - 1 for mark in marks), default=0)
    for size in range(min(longest, len(text)), 0, -1):
        if any(mark.startswith(text[-size:]) for mark in marks):
            return size
    return 0

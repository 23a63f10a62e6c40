"""Messages to token ids and back, through the model's own chat template. No network.

The template is asked, never imitated: where the words that a model wrote begin and end is found by
rendering growing prefixes of the conversation, so that any template which can serve a chat can
also be trained on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from align_agent.errors import ContextTooLong, ModelError
from align_agent.records import Message

Tools = Sequence[dict[str, Any]]

# Put inside every special token that stands in a message, so that a user who writes "<|im_end|>"
# has written letters, not the end of their turn. Never reaches the model. It is one of Unicode's
# noncharacters, which no text holds.
_SPLIT = "\ufdd0"
# Two contents that differ from their first character on: what a rendering shares is its header.
_PROBES = ("A", "B")
THINK, THOUGHT = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt and the model's answer to it as token ids.

    `mask` (as long as `answer_ids`) is True on tokens the model wrote, end-of-turn included, and
    False on tool results and on what the template put between. `opened` says that the prompt ends
    in an open <think>: the answer begins with thoughts.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    mask: tuple[bool, ...]
    opened: bool = False


class ChatFormat:
    """The chat template and tokenizer of one model."""

    def __init__(self, tokenizer: Any, eos_ids: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._eos_ids = eos_ids
        self._eos_texts = [str(tokenizer.convert_ids_to_tokens(i)) for i in sorted(eos_ids)]
        specials = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
        specials |= {i: t.content for i, t in tokenizer.added_tokens_decoder.items() if t.special}
        texts = {text for text in (*specials.values(), *self._eos_texts) if len(text) > 1}
        self._specials = sorted(texts, key=len, reverse=True)
        # Special tokens have no text, but a call's tags are text to us even where a tokenizer
        # declares them special.
        self._hidden = eos_ids | {
            i
            for i, token in specials.items()
            if not token.strip("</>").startswith(("tool_", "think"))
        }
        self._header = ""
        self._header = self._missing_header()

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of the tokens; special tokens have none."""
        kept = [i for i in token_ids if i not in self._hidden]
        text = self._tokenizer.decode(
            kept, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)

    def encode(
        self,
        messages: Sequence[Message],
        tools: Tools = (),
        *,
        add_generation_prompt: bool = True,
        begun: str = "",
    ) -> list[int]:
        """The token ids of the messages. Raises ModelError when the template refuses them.

        `begun` is a beginning of the answer, ours and no message's: its tags are tokens.
        """
        return self._tokenize(self._render(messages, tools, add_generation_prompt) + begun)

    def encode_answer(
        self, prompt: Sequence[Message], response: Sequence[Message], tools: Tools = ()
    ) -> Encoded:
        """The prompt as served, and the answer with a mask of what the model wrote.

        Raises ModelError when the response holds no assistant message, or when the template
        renders it in a way that cannot be told apart from the prompt.
        """
        spoken = [i for i, message in enumerate(response) if message.role == "assistant"]
        if not spoken:
            raise ModelError("the response holds no assistant message", hint="skip this turn")
        messages = [*prompt, *response]
        first = len(prompt) + spoken[0]
        prompt_text = self._render(messages[:first], tools, True)
        prompt_ids = self._tokenize(prompt_text)
        answer_ids: list[int] = []
        mask: list[bool] = []
        so_far = ""  # the conversation up to the last end of turn that the model wrote
        for index in (len(prompt) + i for i in spoken):
            context = self._render(messages[:index], tools, True)
            if answer_ids:
                glue = self._tokenize(self._since(so_far, context))
                answer_ids += glue
                mask += [False] * len(glue)
            so_far, written = self._written(messages[: index + 1], context, tools)
            if _thinks(context):
                between, written = self._after_thoughts(messages[index].content, written)
                glue = self._tokenize(between)
                answer_ids += glue
                mask += [False] * len(glue)
                context += between
            ids = self._tokenize_answer(written, context)
            answer_ids += ids
            mask += [True] * len(ids)
        return Encoded(tuple(prompt_ids), tuple(answer_ids), tuple(mask), _thinks(prompt_text))

    def fit(self, messages: Sequence[Message], room: int, tools: Tools = ()) -> tuple[Message, ...]:
        """The messages without as many of the oldest as it takes to need at most `room` tokens.

        The system message stays, and so does everything from the last user message on.
        Raises ContextTooLong when even that is too long.
        """
        system = tuple(messages[:1]) if messages and messages[0].role == "system" else ()
        rest = list(messages[len(system) :])
        users = [i for i, message in enumerate(rest) if message.role == "user" and i]
        ways = [(*system, *rest[start:]) for start in (0, *users)]  # longest first

        def needed(way: int) -> int:
            return len(self.encode(ways[way], tools))

        if needed(0) <= room:
            return ways[0]
        if (least := needed(-1)) > room:
            raise too_long(least, room)
        # A long log would be rendered hundreds of times if one turn were left out at a time.
        return ways[bisect_left(range(len(ways)), True, key=lambda way: needed(way) <= room)]

    def _written(self, messages: Sequence[Message], context: str, tools: Tools) -> tuple[str, str]:
        """The rendering up to the end of the last message's turn, and what the model wrote of it,
        end of turn included."""
        whole = self._render(messages, tools, False)
        start = len(context)
        if not whole.startswith(context):
            # Some templates close a reasoning block in the prompt that they leave out of the
            # history. Then the header is what two different answers have in common.
            start = self._header_length(messages, whole, tools)
        found = self._first_end(whole, start)
        if found is not None:
            return whole[:found], whole[start:found]
        eos = str(self._tokenizer.eos_token or self._eos_texts[0])
        return whole, whole[start:].rstrip() + eos

    def _missing_header(self) -> str:
        """What stands before each answer and is missing in the template's generation prompt.

        A template that does not know `add_generation_prompt` would let the model write the header,
        and a training learn it. Blanks alone are the answer's own (Mistral's templates). Raises
        ModelError where the header cannot be told from the rest.
        """
        asked = [Message("user", _PROBES[0])]
        try:
            prompt = self._render(asked, (), True)
            if prompt != self._render(asked, (), False):
                return ""
            whole = [
                self._render([*asked, Message("assistant", probe)], (), False) for probe in _PROBES
            ]
        except ModelError:
            return ""  # so short a chat is refused; a real one will show what is wrong
        length = _alike(*whole)
        if length < len(prompt) or not whole[0].startswith(prompt):
            raise ModelError(
                "the chat template has no generation prompt, and where an answer begins cannot be "
                "seen from it",
                hint="give the model a chat template that knows add_generation_prompt",
            )
        header = whole[0][len(prompt) : length]
        # A blank at the end belongs to the answer's first word, as tokenizers cut them.
        return header.rstrip(" ") if header.strip() else ""

    def _after_thoughts(self, content: str, written: str) -> tuple[str, str]:
        """What must stand between a prompt that opens a thought and what the model wrote, and that.

        Some templates drop the thoughts of every answer, and some logs never had them: learned
        right behind the open tag the answer would be a thought.
        """
        if THOUGHT in written:
            return "", written
        thoughts, closed, said = str(self._shield(content)).rpartition(THOUGHT)
        if not closed:
            return f"\n{THOUGHT}\n\n", written.lstrip()
        blank = said[: len(said) - len(said.lstrip())]
        return "", thoughts.lstrip().removeprefix(THINK) + THOUGHT + blank + written.lstrip()

    def _header_length(self, messages: Sequence[Message], whole: str, tools: Tools) -> int:
        one, two = (
            self._render([*messages[:-1], Message("assistant", probe)], tools, False)
            for probe in _PROBES
        )
        length = _alike(one, two)
        if length < 0 or whole[:length] != one[:length]:
            raise ModelError(
                "the chat template renders answers in a way that cannot be trained on",
                hint="use a model whose template keeps an answer's text as it is",
            )
        return length

    def _first_end(self, text: str, start: int) -> int | None:
        """Where the first end of turn after `start` is over."""
        ends = [(text.find(end, start), len(end)) for end in self._eos_texts]
        return min((at + size for at, size in ends if at >= 0), default=None)

    def _since(self, so_far: str, context: str) -> str:
        """What the template put after `so_far`, the answer's end, in a rendering that goes on.

        Where the template now renders that answer in another way (without its reasoning), its end
        is found by counting ends of turn.
        """
        if context.startswith(so_far):
            return context[len(so_far) :]
        at: int | None = 0
        for _ in range(sum(so_far.count(end) for end in self._eos_texts)):
            at = None if at is None else self._first_end(context, at)
        if not at:
            raise ModelError(
                "the chat template renders a tool's result in a way that cannot be trained on",
                hint="skip turns with tool calls, or use another model",
            )
        return context[at:]

    def _render(
        self, messages: Sequence[Message], tools: Tools, add_generation_prompt: bool
    ) -> str:
        if not messages:
            raise ModelError("there is no message to answer", hint="send at least one message")
        try:
            text = self._tokenizer.apply_chat_template(
                [self._as_dict(message) for message in messages],
                tools=[self._shield(tool) for tool in tools] or None,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                # Templates of reasoning models then put the empty reasoning into the prompt
                # instead of leaving it to the model; other templates do not know the name.
                enable_thinking=False,
            )
        except Exception as error:  # jinja2's errors, and whatever a template raises itself
            raise ModelError(
                f"the model's chat template refuses this conversation: {error}",
                hint="check the order of roles: system, user, assistant, tool",
            ) from error
        return str(text) + (self._header if add_generation_prompt else "")

    def _as_dict(self, message: Message) -> dict[str, Any]:
        data: dict[str, Any] = {"role": message.role, "content": self._shield(message.content)}
        if message.tool_calls:
            data["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": self._shield({"name": call.name, "arguments": call.arguments}),
                }
                for call in message.tool_calls
            ]
        if message.tool_call_id:
            data["tool_call_id"] = message.tool_call_id
        return data

    def _shield(self, value: Any) -> Any:
        """The same value with special tokens broken apart and lone surrogates replaced."""
        if isinstance(value, str):
            text = value.replace(_SPLIT, "").encode(errors="replace").decode()
            for token in self._specials:
                if token in text:
                    text = text.replace(token, token[0] + _SPLIT + token[1:])
            return text
        if isinstance(value, dict):
            return {self._shield(key): self._shield(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._shield(item) for item in value]
        return value

    def _tokenize(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in text.split(_SPLIT):
            ids += self._tokenizer.encode(piece, add_special_tokens=False)
        return ids

    def _tokenize_answer(self, written: str, context: str) -> list[int]:
        """The answer's ids as they follow the context, or as they stand alone.

        A tokenizer may put a mark at the start of a lone text that it leaves out in the middle of
        one; but where the last token of the context would swallow the answer's first letter, the
        model, which is served the context as it is, never wrote that.
        """
        tail = context[-64:]
        before, both = self._tokenize(tail), self._tokenize(tail + written)
        if both[: len(before)] == before:
            return both[len(before) :]
        return self._tokenize(written)


def _alike(one: str, two: str) -> int:
    """Where two texts differ first; -1 where they do not."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), -1)


def _thinks(prompt: str) -> bool:
    """Whether a prompt ends in an open <think>."""
    return prompt.rstrip().endswith(THINK)


def too_long(needed: int, room: int) -> ContextTooLong:
    """The error for a prompt of `needed` tokens where there is room for `room`."""
    return ContextTooLong(
        f"the prompt needs {needed} tokens, but the model has room for {room}",
        hint="shorten the message, start a new conversation, or use a model with a larger context",
    )

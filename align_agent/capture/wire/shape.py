"""Checked access to JSON from outside: each error names the field's path. Knows no API.

Everything here takes any JSON value and either returns what is asked for or raises InputError.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from align_agent.errors import InputError
from align_agent.store.text import storable

MAX_DEPTH = 64  # of tool schemas and arguments; what is nested deeper is no honest request

_TEXT_PARTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_THOUGHTS = {"thinking", "redacted_thinking", "reasoning"}
TEXT_ONLY = "this model reads text only: send the content as text, or leave this part out"


def refuse(path: str, problem: str, hint: str) -> NoReturn:
    """Raise the InputError of one field."""
    raise InputError(f"`{path}` {problem}", hint=hint)


def named(value: Any) -> str:
    """What kind of JSON value this is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")


def need_object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        refuse(path, f"must be an object, not {named(value)}", "see the API's reference")
    return value


def need_list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(path, f"must be a list, not {named(value)}", "put the values in [ ]")
    return value


def need_text(value: Any, path: str, *, empty: bool = True) -> str:
    """The text, without NUL and lone surrogates, which neither store nor tokenizer can hold."""
    if not isinstance(value, str):
        refuse(path, f"must be a text, not {named(value)}", 'put it in quotation marks: "..."')
    if not value and not empty:
        refuse(path, "must not be empty", "say what is meant")
    return storable(value)


def content_text(value: Any, path: str, *, lenient: bool = False) -> str:
    """The text of a content: a text, or parts, which are joined by line breaks. Thoughts go.

    Images, audio and files are refused, because the model would answer as if they were not there.
    With `lenient` (results of tools) a note takes their place: a screenshot among the results
    would otherwise end the conversation, and the human has no hand in it.
    """
    if isinstance(value, str):
        return storable(value)
    if not isinstance(value, list):
        hint = "send a text, or a list of parts such as {type: text, text: ...}"
        refuse(path, f"must be a text or a list of parts, not {named(value)}", hint)
    texts = []
    for number, item in enumerate(value):
        text = part_text(item, f"{path}[{number}]", lenient)
        if text is not None:
            texts.append(text)
    return "\n".join(texts)


def part_text(item: Any, path: str, lenient: bool = False) -> str | None:
    """The text of one part; None for a thought."""
    part = need_object(item, path)
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TEXT_PARTS:
        key = _TEXT_PARTS[kind]
        return need_text(part.get(key), f"{path}.{key}")
    if isinstance(kind, str) and kind in _THOUGHTS:
        return None
    word = storable(kind)[:40] if isinstance(kind, str) else named(kind)
    if lenient:
        return f"[{word} left out: this model reads text only]"
    return refuse(path, f"is of type `{word}`, which is no text", TEXT_ONLY)


def without_blocks(text: str, opening: str, closing: str) -> str:
    """The text without blocks between two marks; one that has no end reaches to the text's end."""
    kept, place = [], 0
    while (start := text.find(opening, place)) >= 0:
        kept.append(text[place:start])
        end = text.find(closing, start)
        place = len(text) if end < 0 else end + len(closing)
    return "".join([*kept, text[place:]])


def plain(value: Any, path: str, depth: int = MAX_DEPTH) -> Any:
    """A copy of JSON data with storable texts; refuses NaN, and nesting beyond MAX_DEPTH."""
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            refuse(path, "is no finite number", "JSON has no NaN and no Infinity")
        return value
    if depth == 0:
        refuse(path, f"is nested more than {MAX_DEPTH} levels deep", "send flatter data")
    if isinstance(value, dict):
        return {storable(str(key)): plain(item, path, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, path, depth - 1) for item in value]
    return refuse(path, "is no JSON", "send JSON data")


def arguments_of(value: Any, path: str) -> dict[str, Any]:
    """The arguments of a tool call, as an object or as JSON in a text.

    What a model once wrote comes back with every later request, so text that is no JSON object is
    kept under `text` or `value`: refusing it would end the conversation for good.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = plain(json.loads(value, parse_constant=_no_constant), path)
        except (ValueError, RecursionError, InputError):
            return {"text": need_text(value, path)}
        return value if isinstance(value, dict) else {"value": value}
    return dict(plain(need_object(value, path), path))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def function_tool(tool: dict[str, Any], path: str, parameters: str) -> dict[str, Any]:
    """A tool in OpenAI's format, from an object with a name and a schema under `parameters`."""
    function: dict[str, Any] = {"name": need_text(tool.get("name"), f"{path}.name", empty=False)}
    description = tool.get("description")
    if description is not None:
        function["description"] = need_text(description, f"{path}.description")
    schema = tool.get(parameters)
    if schema is not None:
        need_object(schema, f"{path}.{parameters}")
        function["parameters"] = plain(schema, f"{path}.{parameters}")
    return {"type": "function", "function": function}

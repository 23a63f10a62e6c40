"""Teacher and student by five public chat templates, written from their published definitions.

Whole where it decides what a model reads: system prompts, tools, calls, results, the generation
prompt. For each, with and without system prompt and tools, the prompt that is trained on is the one
that is served, and the answer's tokens are the same behind both prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import CALCULATOR, CHATML, train_tokenizer

from align_agent.distill.hindsight import build_hindsight
from align_agent.distill.pairs import pair
from align_agent.errors import ModelError
from align_agent.models.chat import ChatFormat
from align_agent.prompts import with_hindsight
from align_agent.records import Message, ToolCall

QWEN3 = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with function signatures within <tools></tools> XML tags:\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\\n</tool_call><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if message.role == "user" and not ns.found and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.found = true %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {%- if loop.index0 > ns.last and loop.last %}
            {{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' + message.content }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if (loop.first and message.content) or not loop.first %}{{- '\\n' }}{%- endif %}
            {%- set tool_call = tool_call.function %}
            {{- '<tool_call>\\n{"name": "' + tool_call.name + '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}{{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or messages[loop.index0 - 1].role != "tool" %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != "tool" %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""  # noqa: E501
LLAMA3 = """\
{{- bos_token }}
{%- if messages[0].role == 'system' %}
    {%- set system_message = messages[0].content | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools %}{{- "Environment: ipython\\n" }}{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\nToday Date: 26 Jul 2024\\n\\n" }}
{{- system_message }}{{- "<|eot_id|>" }}
{%- if tools %}
    {%- set first_user_message = messages[0].content | trim %}{%- set messages = messages[1:] %}
    {{- "<|start_header_id|>user<|end_header_id|>\\n\\nGiven the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\\n\\n" }}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}
    {{- first_user_message + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}{{- message.content | tojson }}{{- "<|eot_id|>" }}
    {%- elif message.tool_calls %}
        {%- if not message.tool_calls | length == 1 %}{{- raise_exception("This model only supports single tool-calls at once!") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}{{- "}<|eot_id|>" }}
    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""  # noqa: E501
GEMMA = """\
{{ bos_token }}
{%- if messages[0].role == 'system' %}
    {%- set first_user_prefix = messages[0].content + '\\n\\n' %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set first_user_prefix = '' %}{%- set loop_messages = messages %}{%- endif %}
{%- for message in loop_messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {%- set role = 'model' if message.role == 'assistant' else message.role %}
    {{- '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else '') }}
    {{- message.content | trim }}{{- '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}
"""  # noqa: E501
MISTRAL = """\
{%- if messages[0].role == "system" %}
    {%- set system_message = messages[0].content %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message.role == "user" %}
        {%- if tools and message == user_messages[-1] %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}{{- tool | tojson }}{{- ", " if not loop.last else "" }}{%- endfor %}
            {{- "][/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if message == user_messages[-1] and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message.content + "[/INST]" }}
        {%- else %}{{- "[INST] " + message.content + "[/INST]" }}{%- endif %}
    {%- elif message.tool_calls %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function | tojson %}
            {{- out[:-1] }}{{- ', "id": "' + tool_call.id + '"}' }}{{- ", " if not loop.last else "]" + eos_token }}
        {%- endfor %}
    {%- elif message.role == "assistant" %}{{- " " + message.content | trim + eos_token }}
    {%- elif message.role == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content | string + ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}{{- raise_exception("Only user and assistant roles are supported") }}{%- endif %}
{%- endfor %}
"""  # noqa: E501
# The generation prompt of reasoning models, which opens the thoughts: one template writes them down
# with the answer, the other drops them.
THINKS = """\
{%- for message in messages %}
    {%- if message.role == 'assistant' and loop.last %}
        {%- set parts = message.content.split('</think>') %}
        {{- '<|im_start|>assistant\\n<think>\\n' + (parts[0].strip('\\n') if parts|length > 1 else '') }}
        {{- '\\n</think>\\n\\n' + parts[-1].lstrip('\\n') + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content.split('</think>')[-1].lstrip('\\n') }}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}
"""  # noqa: E501
DROPS = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content.split('</think>')[-1] }}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}
"""
HEADLESS = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
"""
UNCLEAR = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + (' and last' if loop.last else '') + '\\n' }}
    {{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
"""
IM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
HEADERS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
INST = ("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]")
INST += ("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]")
TEMPLATES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "chatml": (CHATML, IM, "<|im_end|>"),
    "qwen3": (QWEN3, IM, "<|im_end|>"),
    "llama 3": (LLAMA3, HEADERS, "<|eot_id|>"),
    "gemma": (GEMMA, ("<bos>", "<start_of_turn>", "<end_of_turn>"), "<end_of_turn>"),
    "mistral": (MISTRAL, INST, "</s>"),
}
REASONING = {"thinks": (THINKS, IM, "<|im_end|>"), "drops thoughts": (DROPS, IM, "<|im_end|>")}
OTHERS = {
    **REASONING,
    "headless": (HEADLESS, IM, "<|im_end|>"),
    "unclear": (UNCLEAR, IM, "<|im_end|>"),
}
F = build_hindsight(["Keep answers short."], "Shorter, please.")
CALL = ToolCall("call12345", "calculator", {"expression": "7*6"})
Make = Callable[[str], Any]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    made: dict[str, Any] = {}

    def build(name: str) -> Any:
        if name not in made:
            from transformers import AutoTokenizer

            template, specials, eos = (TEMPLATES | OTHERS)[name]
            folder: Path = tmp_path_factory.mktemp("template")
            train_tokenizer(folder, 420, template, specials=specials, eos=eos)
            tokenizer = AutoTokenizer.from_pretrained(folder, bos_token=specials[0])
            chat = ChatFormat(tokenizer, frozenset({tokenizer.convert_tokens_to_ids(eos)}))
            made[name] = SimpleNamespace(
                tokenizer=tokenizer,
                eos=eos,
                context=4096,
                encode=chat.encode,
                encode_answer=chat.encode_answer,
            )
        return made[name]

    return build


def by_the_template(model: Any, prompt: list[Message], tools: list[Any]) -> list[int]:
    """The prompt's ids as the tokenizer's own rendering gives them."""
    text = model.tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in prompt],
        tools=tools or None,
        add_generation_prompt=True,
        tokenize=False,
        enable_thinking=False,
    )
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("tools", [[], [CALCULATOR]], ids=["no tools", "tools"])
@pytest.mark.parametrize("system", ["", "Be kind. You are a tutor."], ids=["no system", "system"])
@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("name", list(TEMPLATES))
def test_both_prompts_are_what_is_served_and_the_answer_is_the_same_behind_them(
    name: str, turns: int, system: str, tools: list[Any], make: Make
) -> None:
    model = make(name)
    prompt = [Message("system", system)] if system else []
    prompt += [Message("user", "What is 2+2?"), Message("assistant", "It is 4.")] * (turns - 1)
    prompt += [Message("user", "And 3+3?")]
    found = pair(model, prompt, [Message("assistant", "It is **6**.")], F, tools=tools)
    assert found is not None
    n = len(found.targets)
    assert list(found.student_ids[:-n]) == by_the_template(model, prompt, tools)
    assert list(found.teacher_ids[:-n]) == by_the_template(
        model, list(with_hindsight(prompt, F)), tools
    )
    assert found.student_ids[-n:] == found.teacher_ids[-n:] == found.targets
    text = model.tokenizer.decode(found.targets).lstrip()
    assert text == "It is **6**." + model.eos


@pytest.mark.parametrize("name", ["chatml", "qwen3", "llama 3", "mistral"])
def test_a_call_is_learned_and_its_result_is_not(name: str, make: Make) -> None:
    model = make(name)
    response = [
        Message("assistant", "", (CALL,)),
        Message("tool", "42", (), CALL.id),
        Message("assistant", "It is 42."),
    ]
    found = pair(model, [Message("user", "7*6?")], response, F, tools=[CALCULATOR])
    assert found is not None
    for ids, positions in (
        (found.student_ids, found.student_positions),
        (found.teacher_ids, found.teacher_positions),
    ):
        assert tuple(ids[p + 1] for p in positions) == found.targets
    text = model.tokenizer.decode(found.targets)
    assert '"calculator"' in text
    assert "7*6" in text
    assert "It is 42." in text
    assert text.count(model.eos) == 2
    assert "<tool_response>" not in text
    assert "TOOL_RESULTS" not in text
    assert "ipython" not in text


def test_what_a_template_refuses_is_a_reason_to_skip(make: Make) -> None:
    prompt = [Message("user", "one"), Message("user", "two")]
    with pytest.raises(ModelError) as caught:
        pair(make("gemma"), prompt, [Message("assistant", "no")], F)
    assert caught.value.hint


@pytest.mark.parametrize("answer", ["I ponder.\n</think>\n\nIt is 4.", "It is 4."])
@pytest.mark.parametrize("name", list(REASONING))
def test_thoughts_that_the_prompt_opens_are_shown_and_not_learned(
    name: str, answer: str, make: Make
) -> None:
    model = make(name)
    prompt = [Message("user", "2+2?")]
    found = pair(model, prompt, [Message("assistant", answer)], F, reasoning=False)
    assert found is not None
    served = model.encode(prompt)
    assert list(found.student_ids[: len(served)]) == served
    behind = model.tokenizer.decode(found.student_ids[len(served) :])
    thoughts = "I ponder." if "ponder" in answer else ""
    assert behind == f"{thoughts}\n</think>\n\nIt is 4.<|im_end|>"
    assert model.tokenizer.decode(found.targets).strip() == "It is 4.<|im_end|>"


@pytest.mark.parametrize("name", list(REASONING))
def test_a_thought_that_was_cut_off_is_no_answer(name: str, make: Make) -> None:
    prompt, thought = [Message("user", "2+2?")], [Message("assistant", "I ponder")]
    assert pair(make(name), prompt, thought, F, complete=False) is None


def test_the_header_that_a_template_has_no_prompt_for_is_served_and_not_learned(
    make: Make,
) -> None:
    model = make("headless")
    prompt = [Message("user", "2+2?")]
    found = pair(model, prompt, [Message("assistant", "It is 4.")], F)
    assert found is not None
    assert model.tokenizer.decode(found.targets) == "It is 4.<|im_end|>"
    served = model.encode(prompt)
    assert model.tokenizer.decode(served).endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert list(found.student_ids) == [*served, *found.targets]
    told = model.encode(list(with_hindsight(prompt, F)))
    assert list(found.teacher_ids) == [*told, *found.targets]


def test_a_template_that_shows_no_beginning_of_an_answer_is_refused(make: Make) -> None:
    with pytest.raises(ModelError, match="no generation prompt") as caught:
        make("unclear")
    assert "add_generation_prompt" in caught.value.hint

"""A file of demonstrations: what is read, and how a bad line is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.errors import InputError
from align_agent.learn.demonstrations import read_demonstrations
from align_agent.records import Message

GOOD = '{"prompt": "What is 2 plus 3?", "answer": "5."}'


def written(folder: Path, *lines: str) -> Path:
    path = folder / "demos.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_line_is_a_prompt_and_its_answer(tmp_path: Path) -> None:
    (one,) = read_demonstrations(written(tmp_path, GOOD, ""))
    assert one.prompt == (Message("user", "What is 2 plus 3?"),)
    assert one.answer == "5."


def test_a_prompt_may_be_a_conversation_with_a_system_message(tmp_path: Path) -> None:
    prompt = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "What is 2 plus 3?"},
    ]
    line = json.dumps({"prompt": prompt, "answer": "5.", "system": "You teach."})
    (one,) = read_demonstrations(written(tmp_path, line))
    assert [m.role for m in one.prompt] == ["system", "user", "assistant", "user"]


def test_of_two_answers_to_one_prompt_the_later_counts(tmp_path: Path) -> None:
    later = GOOD.replace('"5."', '"It is 5."')
    (one,) = read_demonstrations(written(tmp_path, GOOD, later))
    assert one.answer == "It is 5."


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"prompt": "x"}', "`answer` is missing"),
        ('{"prompt": "x", "answer": "  "}', "`answer` must be text, not empty"),
        ('{"prompt": 3, "answer": "y"}', "`prompt` must be text"),
        ('{"prompt": "x", "answer": "y", "ideal": 1}', "unknown field `ideal`"),
        ('{"prompt": [], "answer": "y"}', "must end with the user's message"),
        ('{"prompt": [{"role": "tool"}], "answer": "y"}', "needs a `role`"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_the_cure(
    tmp_path: Path, line: str, why: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_demonstrations(written(tmp_path, GOOD, "", line))
    assert "line 3" in caught.value.message
    assert why in caught.value.message
    assert '"answer"' in caught.value.hint


def test_an_empty_file_and_a_missing_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no demonstration"):
        read_demonstrations(written(tmp_path, ""))
    with pytest.raises(InputError, match="cannot be read"):
        read_demonstrations(tmp_path / "none.jsonl")


@given(st.binary(max_size=200))
def test_whatever_a_file_holds_the_error_is_one_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "demos.jsonl"
    path.write_bytes(data)
    try:
        read_demonstrations(path)
    except InputError as error:
        assert error.hint

"""A real llama-server behind the door answers as transformers does, for the base and each version.

Needs llama-server: `make test-llama` builds it, or ALIGN_AGENT_LLAMA_SERVER names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from llama_proof import (
    agreement,
    door,
    door_answers,
    export,
    find_server,
    llama,
    local_answers,
    move,
    questions,
    teach,
)

from align_agent.models.local import LocalModel
from align_agent.paths import Home

pytestmark = [
    pytest.mark.llama,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_server() is None, reason="no llama-server: run `make test-llama`"),
]

CLOSE = 0.95  # two ways of adding numbers up may once choose another of two equal words


@dataclass
class Taught:
    home: Home
    folder: Path
    asked: list[str]
    expected: dict[str, list[str]]  # by version, transformers' answers
    files: list[Path]  # the base, v1, v2


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    folder = tmp_path_factory.mktemp("llama")
    home = Home(folder / "home").ensure()
    model = LocalModel.load("pocket", device="cpu")
    teach(home, model, steps=40, examples=24)
    asked = questions(4, "exam")
    adapters = {"base": None, "v1": home.adapters / "v0001", "v2": home.adapters / "v0002"}
    expected = {name: local_answers(model, asked, path) for name, path in adapters.items()}
    files = [export(home, name, folder, "--dtype", "float32") for name in expected]
    return Taught(home, folder, asked, expected, files)


@pytest.fixture(scope="module")
def urls(taught: Taught) -> Iterator[tuple[str, str]]:
    """(the door, llama-server behind it), with both versions loaded from its start."""
    base, *loras = taught.files
    server = find_server()
    assert server is not None
    with llama(server, taught.folder, base, loras, 4) as behind, door(taught.home, behind) as url:
        yield url, behind


def test_the_styles_were_learned_apart(taught: Taught) -> None:
    base, first, second = taught.expected.values()
    for a, b in ((base, first), (base, second), (first, second)):
        assert sum(x != y for x, y in zip(a, b, strict=True)) > len(taught.asked) / 4


@pytest.mark.parametrize("name", ["base", "v1", "v2", "base", "v1"])
def test_each_version_answers_as_in_transformers(
    taught: Taught, urls: tuple[str, str], name: str
) -> None:
    """Also when another version has just read the same questions."""
    found = agreement(urls[0], f"align@{name}", taught.asked, taught.expected[name])
    assert found >= CLOSE


def test_answers_move_with_promotion_and_rollback_while_it_runs(
    taught: Taught, urls: tuple[str, str]
) -> None:
    few = taught.asked[::3]

    def serves(name: str) -> None:
        found = door_answers(urls[0], few, "align")
        assert {told for _, told in found} == {f"align@{name}"}
        same = [
            answer == expected
            for (answer, _), expected in zip(found, taught.expected[name][::3], strict=True)
        ]
        assert sum(same) >= CLOSE * len(few)

    serves("base")
    move(taught.home, "promote v1 --force")
    serves("v1")
    move(taught.home, "promote v2 --force")
    serves("v2")
    move(taught.home, "rollback")
    serves("v1")
    assert len(httpx.get(f"{urls[1]}/lora-adapters").json()) == 2


def test_prompts_may_be_reused_when_its_memory_is_off(taught: Taught) -> None:
    """What `upstream.reuse_prompts` promises, with the flag that it asks for."""
    base, *loras = taught.files
    server = find_server()
    assert server is not None
    few = taught.asked[::2]
    with (
        llama(server, taught.folder, base, loras, 2, "--cache-ram", "0") as behind,
        door(taught.home, behind, reuse_prompts=True) as url,
    ):
        for name in ("base", "v1", "v2", "v1", "base"):
            expected = taught.expected[name][::2]
            assert agreement(url, f"align@{name}", few, expected) >= CLOSE

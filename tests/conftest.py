"""Fixtures that every room's tests share. Torch is imported only by the tests that ask for it."""

from __future__ import annotations

import functools
import gc
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from coverage import Coverage

    from align_agent.models.local import LocalModel

# A machine may be busy with something else: how long an example takes is no property of the code.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# By these coverage finds its way into the processes that a test starts.
COUNTS_PROCESSES = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")

# The files that take longest, longest first. They begin first: one that is left for the end keeps
# the other worker waiting.
LONGEST = (
    "test_demo.py",
    "test_readme.py",
    "test_keep.py",
    "test_night_kill.py",
    "test_villains.py",
    "test_learning.py",
    "test_serve.py",
    "test_night.py",
    "test_weights.py",
    "test_solve_command.py",
    "test_learn.py",
)


# Coverage looks at every line, torch's and transformers' too, and makes the suite half as long
# again. Cases of one test, and examples of one property, run nearly the same lines: it looks at the
# first of them alone.
COUNTED_CASES = 3
COUNTED_EXAMPLES = 10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others as they were found."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
    cases: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        cases[test] += 1
        if cases[test] > COUNTED_CASES:
            item.add_marker(pytest.mark.uncounted)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Coverage looks away while a test marked `uncounted` runs, and from what it starts."""
    from coverage import Coverage

    counting = Coverage.current()
    if counting is None:
        return (yield)
    if item.get_closest_marker("uncounted") is None:
        with _few_examples_counted(item, counting):
            return (yield)
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name in COUNTS_PROCESSES}
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()
        os.environ.update(kept)


@contextmanager
def _few_examples_counted(item: pytest.Item, counting: Coverage) -> Iterator[None]:
    """Coverage looks away from a property after its first examples."""
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    if handle is None:
        yield
        return
    test, ran = handle.inner_test, 0

    @functools.wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        nonlocal ran
        if ran == COUNTED_EXAMPLES:
            counting.stop()
        ran += 1
        return test(*args, **kwargs)

    handle.inner_test = example
    try:
        yield
    finally:
        handle.inner_test = test
        if ran > COUNTED_EXAMPLES:  # once started twice, it would not stop any more
            counting.start()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, which a test may fill."""
    from disks import mounted

    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 of hidden 32 and 2 layers, with a byte-level BPE trained on the spot."""
    from tiny import build_tiny_model

    return build_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def model_dir(request: pytest.FixtureRequest) -> Path:
    """The pocket model where its weights are complete, else the tiny random one."""
    from align_agent.errors import ModelError
    from align_agent.models.files import check_folder
    from align_agent.models.pocket import WEIGHTS

    try:
        check_folder(WEIGHTS)
    except ModelError:
        folder: Path = request.getfixturevalue("tiny_model_dir")
        return folder
    return WEIGHTS


@pytest.fixture(scope="session")
def tiny_model(tiny_model_dir: Path) -> LocalModel:
    """The tiny model, loaded once. Tests must not change it; it forgets old adapters by itself."""
    from align_agent.models.local import LocalModel

    return LocalModel.load(str(tiny_model_dir), device="cpu")


@pytest.fixture(scope="session")
def parrot(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """The tiny model after it learned three conversations with tool calls by heart."""
    from tiny import build_parrot

    from align_agent.models.local import LocalModel

    folder = build_parrot(tiny_model_dir, tmp_path_factory.mktemp("parrot"))
    return LocalModel.load(str(folder), device="cpu")

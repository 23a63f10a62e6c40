"""Coverage, which looks at a property's first examples alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.mark.parametrize("examples", [3, 10, 11, 30])
def test_coverage_is_started_as_often_as_it_was_stopped(
    request: pytest.FixtureRequest, examples: int
) -> None:
    file = str(request.config.rootpath / "tests" / "conftest.py")
    house = request.config.pluginmanager.get_plugin(file)
    assert house is not None
    told: list[str] = []
    counting = SimpleNamespace(stop=lambda: told.append("stop"), start=lambda: told.append("start"))
    handle = SimpleNamespace(inner_test=lambda: None)
    with house._few_examples_counted(
        SimpleNamespace(obj=SimpleNamespace(hypothesis=handle)), counting
    ):
        for _ in range(examples):
            handle.inner_test()
    assert told == (["stop", "start"] if examples > house.COUNTED_EXAMPLES else [])

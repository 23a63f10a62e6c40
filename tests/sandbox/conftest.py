"""The walls of this machine, each as root and as an ordinary user, who owns what must be kept.

Where the tests run as root, those of an ordinary user are run in a child that has become one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox_places import PLACES, SOMEBODY, Place, in_a_child, name_of, older, ordinary, stands

from align_agent.sandbox import box, levels

_KNOWN: dict[Place, str] = {}  # why a wall does not stand here, or "" where it does


@pytest.fixture
def tmp_path(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A folder of who runs the test, in one that everybody can pass through."""
    tmp_path_factory.getbasetemp()  # before a test says that the temporary folder is another
    path = Path(tempfile.mkdtemp(prefix="align-test-"))
    if ordinary(request.node) and os.geteuid() == 0:
        os.chown(path, SOMEBODY, SOMEBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=PLACES, ids=name_of)
def wall(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> levels.Wall:
    """Each wall in turn, where this machine can put it up."""
    place: Place = request.param
    if place.who == "root" and os.geteuid():
        pytest.skip("the tests do not run as root")
    if place.landlock:
        older(monkeypatch, tmp_path, place.landlock)
    monkeypatch.setattr(box, "wall", lambda: (place.wall, place.wall))
    return place.wall


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """An ordinary user's test in a child; any other as ever."""
    place = getattr(getattr(pyfuncitem, "callspec", None), "params", {}).get("wall")
    if not isinstance(place, Place):
        return (yield)
    function = pyfuncitem.obj
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    def run(test: Callable[[], None]) -> None:
        if ordinary(pyfuncitem) and os.geteuid() == 0:
            in_a_child(test, pyfuncitem.funcargs["tmp_path"])
        else:
            test()

    def as_wanted(**_: object) -> None:
        if place not in _KNOWN:
            try:
                run(lambda: stands(place))
                _KNOWN[place] = ""
            except pytest.skip.Exception as skipped:
                _KNOWN[place] = str(skipped)
        if _KNOWN[place]:
            pytest.skip(_KNOWN[place])
        run(lambda: function(**wanted))

    pyfuncitem.obj = as_wanted
    try:
        return (yield)
    finally:
        pyfuncitem.obj = function

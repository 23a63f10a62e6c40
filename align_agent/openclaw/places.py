"""Where OpenClaw keeps its configuration, and where our copy of its plugin lies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from align_agent.errors import UsageError
from align_agent.paths import Home

PLUGIN = "align-agent"
_LEFT_OUT = shutil.ignore_patterns("test", "node_modules", ".*")


def config_path(env: Mapping[str, str] | None = None) -> Path:
    """The openclaw.json that OpenClaw itself would read: its variables are asked in its order.

    Raises UsageError where there is none.
    """
    given = os.environ if env is None else env
    path = _candidate(given)
    if not path.is_file():
        raise UsageError(
            f"there is no {path}",
            hint="set OpenClaw up first (`openclaw onboard`), or say where its configuration is: "
            "OPENCLAW_CONFIG_PATH=/path/to/openclaw.json",
        )
    return path


def _candidate(given: Mapping[str, str]) -> Path:
    if named := given.get("OPENCLAW_CONFIG_PATH"):
        return Path(named).expanduser()
    if state := given.get("OPENCLAW_STATE_DIR"):
        return Path(state).expanduser() / "openclaw.json"
    home = given.get("OPENCLAW_HOME") or given.get("HOME") or str(Path.home())
    return Path(home).expanduser() / ".openclaw" / "openclaw.json"


def plugin_source() -> Path:
    """The plugin as it comes along: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "openclaw_plugin", package.parent / "openclaw-plugin"):
        if (folder / "openclaw.plugin.json").is_file():
            return folder
    raise UsageError(
        "this installation lacks OpenClaw's plugin", hint="reinstall align-agent: pip install -U"
    )


def plugin_folder(home: Home) -> Path:
    """Our copy: it stays where it is when the program is upgraded or its checkout moves."""
    return home.root / "openclaw" / "plugin"


def bring_plugin(home: Home) -> Path:
    """Copy the plugin with its skills into the home, in place of an earlier copy."""
    target = plugin_folder(home)
    aside = target.with_name("plugin.new")
    shutil.rmtree(aside, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = plugin_source()
    shutil.copytree(source, aside, ignore=_LEFT_OUT)
    # They lie beside the plugin: one copy serves our own agent and OpenClaw's.
    shutil.copytree(source.parent / "skills", aside / "skills", dirs_exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    return target

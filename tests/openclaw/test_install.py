"""Our entries in OpenClaw's configuration: in, out, and nothing else touched."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.cli import main
from align_agent.openclaw.edit import Entry, put_in, take_out

ENTRY = Entry("http://127.0.0.1:8377", "/home/me/.align-agent/openclaw/plugin")
THEIRS = """{
    // placeholder
    "agents": {"defaults": {"model": {"primary": "openai/gpt", "fallbacks": ["a/b"]}}},
    "tools": {"profile": "minimal"},
    "plugins": {"allow": ["telegram"], "load": {"paths": ["/x"]}}
}
""".replace("    // placeholder\n", "")
NAMES = st.sampled_from(
    ["models", "providers", "agents", "defaults", "plugins", "entries", "tools", "x", "align"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
MODEL = st.one_of(
    st.text(max_size=8), st.fixed_dictionaries({"primary": st.text(max_size=8)}), st.none()
)
CONFIG = st.fixed_dictionaries(
    {"tools": JSON, "gateway": JSON},
    optional={
        "agents": st.fixed_dictionaries({"defaults": st.fixed_dictionaries({"model": MODEL})}),
        "plugins": st.fixed_dictionaries({"allow": st.lists(st.text(max_size=5))}),
    },
)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state" / "openclaw.json"
    path.parent.mkdir()
    path.write_text(THEIRS)
    path.chmod(0o640)
    monkeypatch.setenv("ALIGN_AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(path.parent))
    monkeypatch.delenv("OPENCLAW_CONFIG_PATH", raising=False)
    return path


@given(CONFIG)
def test_putting_in_twice_is_putting_in_once_and_taking_out_undoes_it(config: Any) -> None:
    once = put_in(config, ENTRY)
    assert put_in(once.data, ENTRY).data == once.data
    assert once.data["tools"] == config["tools"]
    assert once.data["gateway"] == config["gateway"]
    assert once.data["models"]["providers"].keys() == {"align"}
    left = take_out(once.data, once.before)
    assert left == config


@given(CONFIG, JSON)
def test_what_others_change_meanwhile_stays(config: Any, value: Any) -> None:
    edited = put_in(config, ENTRY)
    changed = copy.deepcopy(edited.data)
    changed["meta"] = value
    changed["models"]["providers"]["mine"] = {"baseUrl": "x"}
    left = take_out(changed, edited.before)
    assert left.get("meta") == value
    assert left["models"] == {"providers": {"mine": {"baseUrl": "x"}}}


def test_a_default_that_the_user_chose_meanwhile_stays(theirs: Path) -> None:
    edited = put_in(json.loads(THEIRS), ENTRY)
    edited.data["agents"]["defaults"]["model"]["primary"] = "other/model"
    left = take_out(edited.data, edited.before)
    assert left["agents"]["defaults"]["model"]["primary"] == "other/model"


def test_no_tool_or_sandbox_setting_is_touched_and_others_stay_allowed() -> None:
    data = put_in(json.loads(THEIRS), ENTRY).data
    assert data["tools"] == {"profile": "minimal"}
    assert data["plugins"]["allow"] == ["telegram", "align-agent"]
    assert "allow" not in put_in({}, ENTRY).data["plugins"]
    assert data["agents"]["defaults"]["model"] == {"primary": "align/align", "fallbacks": ["a/b"]}


def test_where_models_are_listed_ours_is_listed_too() -> None:
    theirs = {"agents": {"defaults": {"model": "a/b", "models": {"a/b": {}}}}}
    edited = put_in(theirs, ENTRY)
    assert "align/align" in edited.data["agents"]["defaults"]["models"]
    assert take_out(edited.data, edited.before) == theirs


def test_uninstall_restores_the_file_to_the_byte(theirs: Path) -> None:
    assert main(["openclaw", "install"]) == 0
    assert main(["openclaw", "install"]) == 0
    assert json.loads(theirs.read_text())["models"]["providers"]["align"]["apiKey"] == "none"
    assert theirs.stat().st_mode & 0o777 == 0o640
    assert main(["openclaw", "uninstall"]) == 0
    assert theirs.read_text() == THEIRS
    assert theirs.stat().st_mode & 0o777 == 0o640


def test_after_other_changes_uninstall_takes_out_only_ours(theirs: Path) -> None:
    main(["openclaw", "install"])
    data = json.loads(theirs.read_text())
    data["meta"] = {"lastTouchedVersion": "2026.9.6"}
    theirs.write_text(json.dumps(data))
    assert main(["openclaw", "uninstall"]) == 0
    assert json.loads(theirs.read_text()) == json.loads(THEIRS) | {"meta": data["meta"]}


def test_another_port_is_brought_over_and_the_way_back_stays(theirs: Path, tmp_path: Path) -> None:
    main(["openclaw", "install"])
    (tmp_path / "home" / "config.yaml").write_text("server: {port: 9000, token: hidden-token}\n")
    assert main(["openclaw", "install"]) == 0
    provider = json.loads(theirs.read_text())["models"]["providers"]["align"]
    assert (provider["baseUrl"], provider["apiKey"]) == ("http://127.0.0.1:9000/v1", "hidden-token")
    assert main(["openclaw", "uninstall"]) == 0
    assert theirs.read_text() == THEIRS


def test_a_dry_run_shows_the_difference_without_secrets_and_changes_nothing(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.yaml").write_text("server: {token: hidden-token}\n")
    assert main(["openclaw", "install", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert '+        "primary": "align/align"' in shown
    assert "hidden-token" not in shown
    assert "minimal" not in shown
    assert theirs.read_text() == THEIRS


def test_a_file_with_comments_is_refused_and_stays(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs.write_text("{\n  // mine\n  tools: {},\n}\n")
    assert main(["openclaw", "install"]) == 2
    assert "--print" in capsys.readouterr().err
    assert theirs.read_text() == "{\n  // mine\n  tools: {},\n}\n"


def test_without_openclaw_the_error_says_where_it_was_looked_for(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs.unlink()
    assert main(["openclaw", "install"]) == 2
    assert str(theirs) in capsys.readouterr().err
    assert main(["openclaw", "uninstall"]) == 2


def test_doctor_names_what_is_missing(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def found() -> dict[str, str]:
        assert main(["openclaw", "doctor", "--json"]) == 1
        return {f["name"]: f["status"] for f in json.loads(capsys.readouterr().out)}

    assert found()["provider"] == "fail"
    main(["openclaw", "install"])
    capsys.readouterr()
    state = found()
    assert [state[name] for name in ("provider", "default model", "plugin")] == ["ok"] * 3
    assert state["server"] == "fail"


def test_the_plugin_comes_with_its_skills_and_without_its_tests(
    theirs: Path, tmp_path: Path
) -> None:
    main(["openclaw", "install"])
    plugin = tmp_path / "home" / "openclaw" / "plugin"
    assert (plugin / "skills" / "align-status" / "SKILL.md").is_file()
    assert not (plugin / "skills").is_symlink()
    assert not (plugin / "test").exists()

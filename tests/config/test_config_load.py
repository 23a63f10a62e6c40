"""Reading config.yaml: what is accepted, and what each refusal says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.config import Config, effective, example_yaml, load_config
from align_agent.config.options import option_of
from align_agent.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def write(tmp_path):
    def _write(text: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


def refusal(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


def test_a_missing_file_gives_the_defaults(tmp_path):
    assert load_config(tmp_path / "config.yaml") == Config()


@pytest.mark.parametrize("text", ["", "\n", "# nothing but words\n", "\ufeff", "model:\n", "---\n"])
def test_a_file_that_says_nothing_gives_the_defaults(write, text):
    assert load_config(write(text)) == Config()


def test_the_example_gives_exactly_the_defaults(write):
    assert load_config(write(example_yaml())) == Config()


def test_the_example_names_every_field_with_its_help():
    text = " ".join(example_yaml().replace("#", " ").split())
    for section in fields(Config):
        for item in fields(getattr(Config(), section.name)):
            spec = option_of(item)
            assert f"{item.name}: " in text
            assert " ".join(spec.help.split()) in text


def test_the_committed_example_is_the_generated_one():
    assert (ROOT / "config.example.yaml").read_text(encoding="utf-8") == example_yaml()


def test_every_default_is_within_its_own_limits():
    for section in fields(Config):
        values = getattr(Config(), section.name)
        for item in fields(values):
            assert option_of(item).complain(getattr(values, item.name)) == ""


def test_values_are_read_in_their_types(write):
    config = load_config(
        write(
            "model: {base: ./my-model, threads: 2, temperature: 0}\n"
            "distill:\n  learning_rate: 1e-4\n  loss: jsd\n"
            "feedback: {auto_accept: no}\n"
            'agent: {tools: [], skills: ["a", b]}\n'
        )
    )
    assert config.model.base == "./my-model"
    assert (config.model.threads, config.model.temperature) == (2, 0.0)
    assert isinstance(config.model.temperature, float)
    assert config.distill.learning_rate == 1e-4
    assert config.feedback.auto_accept is False
    assert (config.agent.tools, config.agent.skills) == ((), ("a", "b"))


def test_the_learning_rate_may_be_auto(write):
    assert load_config(write("distill: {learning_rate: auto}")).distill.learning_rate == "auto"


def test_rules_may_be_texts_or_mappings(write):
    config = load_config(
        write(
            "preferences:\n"
            "  rules:\n"
            "    - Keep answers short.\n"
            "    - {text: No emoji., check: no_emoji}\n"
            "    - text: At most three sentences.\n"
            "      check: {name: max_sentences, n: 3}\n"
            "      scope: homework\n"
        )
    )
    assert config.preferences.rules == (
        "Keep answers short.",
        {"text": "No emoji.", "check": {"name": "no_emoji"}},
        {
            "text": "At most three sentences.",
            "check": {"name": "max_sentences", "n": 3},
            "scope": "homework",
        },
    )


CASES = [
    ("modle:\n  base: x\n", 1, "unknown setting `modle`", "did you mean `model`"),
    ("model:\n  bsae: x\n", 2, "unknown setting `bsae` in `model`", "did you mean `base`"),
    ("model:\n  max_turns: 3\n", 2, "unknown setting", "section `distill`"),
    ("max_turns: 3\n", 1, "unknown setting", "section `distill`"),
    ("model:\n  maxturns: 3\n", 2, "unknown setting", "`max_turns` in the section `distill`"),
    ("zzz: 1\n", 1, "unknown setting `zzz`", "known here: model, preferences"),
    ("<<: {}\n", 1, "unknown setting `<<`", "known here"),
    ("[1, 2]: x\n", 1, "unknown setting", "known here"),
    ("model: pocket\n", 1, "must hold settings, not the text `pocket`", "name: value"),
    ("- model\n", 1, "must hold settings, not a list", "name: value"),
    ("just words\n", 1, "must hold settings", "name: value"),
    ("model:\n  threads: two\n", 2, "a whole number, not the text `two`", "whole number"),
    ("model:\n  threads: 2.5\n", 2, "a whole number, not the number `2.5`", "whole number"),
    ("model:\n  threads: yes\n", 2, "a whole number, not the yes/no `yes`", "whole number"),
    ("model:\n  threads:\n", 2, "a whole number, not nothing", "whole number"),
    ("model:\n  threads: -1\n", 2, "from 0 to 1024", "threads: `0`"),
    ("model:\n  threads: 1025\n", 2, "from 0 to 1024", "default"),
    ("model:\n  temperature: hot\n", 2, "a number, not the text", "a number"),
    ("model:\n  temperature: .inf\n", 2, "finite", "default"),
    ("model:\n  temperature: .nan\n", 2, "finite", "default"),
    ("model:\n  temperature: 1e999\n", 2, "finite", "default"),
    ("model:\n  base: 123\n", 2, "must be text, not the number", 'quotes: base: "123"'),
    ("model:\n  base: ''\n", 2, "must not be empty", "default"),
    ("model:\n  base: [a]\n", 2, "must be text, not a list", "write text"),
    ("model:\n  device: cuda:x\n", 2, "cuda:N", "default"),
    ("model:\n  dtype: int8\n", 2, "one of auto, float32", "default"),
    ("capture:\n  enabled: maybe\n", 2, "true or false, not the text", "true or false"),
    ("distill:\n  learning_rate: fast\n", 2, 'a number or "auto"', "auto"),
    ("distill:\n  learning_rate: 0\n", 2, 'or "auto"', "auto"),
    ("agent:\n  tools: calculator\n", 2, "a list of texts, not the text", "list"),
    ("agent:\n  tools: [1]\n", 2, "entry 1 of `agent.tools`", "quotes"),
    ("agent:\n  tools: ['']\n", 2, "empty text", "default"),
    ("server:\n  allowed_origins: [localhost:3000]\n", 2, "http://localhost:3000", "default"),
    ("server:\n  allowed_origins: ['http://a/']\n", 2, "without a path", "default"),
    ("preferences:\n  rules: [3]\n", 2, "the number `3`, not a text", "quotes"),
    ("preferences:\n  rules: [{check: x}]\n", 2, "has no `text`", "text:"),
    ("preferences:\n  rules: [{text: a, chek: x}]\n", 2, "unknown key `chek`", "text, check"),
    ("preferences:\n  rules: [{text: a, check: {n: 1}}]\n", 2, "cannot be read", "check: NAME"),
    ("preferences:\n  rules: ['  ']\n", 2, "empty rule", "default"),
    ("gate:\n  pinned: [Hello]\n", 2, "`text` and a `check`", "default"),
    ("gate:\n  pinned: [{text: Hello}]\n", 2, "`text` and a `check`", "default"),
    ("schedule:\n  cron: 0 3 * *\n", 2, "five fields", "0 3 * * *"),
    ("schedule:\n  cron: 61 3 * * *\n", 2, "minute that is outside 0 to 59", "default"),
    ("schedule:\n  cron: 0 3 * * 1-5\n", 2, "weekday", "default"),
    ("schedule:\n  cron: 0 3 9-5 * *\n", 2, "backwards", "default"),
    ("schedule:\n  cron: 0/0 3 * * *\n", 2, "a step of 0", "default"),
    ("schedule:\n  cron: * 3 * * *\n", 2, "no valid YAML", "quotes"),
    ("schedule:\n  window: night\n", 2, "01:00-07:00", "default"),
    ("schedule:\n  window: 01:00-25:00\n", 2, "does not exist", "default"),
    ("privacy:\n  redact_secrets: false\n", 2, "cannot be turned off", "default"),
    ("server:\n  port: 70000\n", 2, "from 1 to 65535", "8377"),
    ("distill:\n  min_turns: 9\n  max_turns: 8\n", 2, "more than", "lower min_turns"),
    ("distill:\n  max_turns: 1\n", 2, "more than", "lower min_turns"),
    ("model:\n  base: a\n  base: b\n", 3, "`base` is given twice", "keep one"),
    ("model:\n  base: a\nmodel:\n  seed: 1\n", 3, "first on line 1", "keep one"),
    ("model:\n\tbase: x\n", 2, "no valid YAML", "spaces"),
    ("model:\n  base: 'x\n", 2, "no valid YAML", "quotes"),
    ("model: {base: x\n", 2, "no valid YAML", "brackets"),
    ("model: {}\n---\nmodel: {}\n", 2, "no valid YAML", "---"),
    ("model:\n  base: *x\n", 2, "no valid YAML", "quotes"),
    ("model:\n  base: !!python/object/apply:os.abort []\n", 2, "must be text", "write text"),
    ("a: " + "[" * 5000, 1, "nested", "two levels"),
]


@pytest.mark.parametrize(("text", "line", "message", "hint"), CASES)
def test_a_refusal_names_line_cause_and_cure(write, text, line, message, hint):
    error = refusal(write(text))
    assert f"line {line}:" in error.message
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"model:\n  base: \xff\n", 2, "not UTF-8"),
        (b"model:\n  base: a\x00b\n", 2, "character that YAML does not allow"),
        (b"\x00\x01\x02", 1, "character that YAML does not allow"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_line(write, data, line, message):
    error = refusal(write(data))
    assert f"line {line}:" in error.message
    assert message in error.message


def test_an_enormous_file_is_refused_unread(write):
    assert "larger" in refusal(write("#" * 1_100_000)).message


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    assert "cannot be read" in refusal(tmp_path).message


def test_a_self_containing_rule_ends_in_a_refusal(write):
    refusal(write("preferences:\n  rules: &a [*a]\n"))


def test_effective_says_where_each_value_comes_from(write):
    path = write("model:\n  base: mine\n\ngate:\n  mode: review\n")
    rows = {key: (value, source) for key, value, source in effective(path)}
    assert rows["model.base"] == ("mine", "config.yaml:2")
    assert rows["gate.mode"] == ("review", "config.yaml:5")
    assert rows["gate.probes"] == (Config().gate.probes, "default")
    assert len(rows) == sum(len(section) for section in asdict(Config()).values())


def test_to_dict_written_as_yaml_reads_back_the_same(write):
    path = write(
        "preferences: {rules: [One., {text: Two., check: {name: c, of: [1, a]}}]}\n"
        "distill: {learning_rate: auto}\nprivacy: {ignore: ['heart*']}\n"
    )
    config = load_config(path)
    assert load_config(write(yaml.safe_dump(config.to_dict()))) == config


def test_what_is_recorded_of_a_configuration_holds_no_secret(write):
    config = load_config(write("server: {token: open-sesame-123, port: 9000}\n"))
    assert config.to_dict()["server"]["port"] == 9000
    assert "open-sesame-123" not in repr(config.to_dict())


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("auto")
)
sections = st.sampled_from([item.name for item in fields(Config)])
keys = st.sampled_from(
    sorted({i.name for s in fields(Config) for i in fields(getattr(Config(), s.name))})
)
trees = st.dictionaries(
    sections | st.text(max_size=8),
    st.dictionaries(keys | st.text(max_size=8), scalars | st.lists(scalars, max_size=3)) | scalars,
    max_size=4,
)
relaxed = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(trees)
@relaxed
def test_any_yaml_gives_a_config_or_a_refusal(tmp_path, tree):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    try:
        assert isinstance(load_config(path), Config)
    except ConfigError as error:
        assert error.hint


@given(st.text(max_size=200) | st.binary(max_size=200))
@relaxed
def test_any_bytes_give_a_config_or_a_refusal(tmp_path, data):
    path = tmp_path / "config.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load_config(path), Config)
    except ConfigError as error:
        assert error.hint


def test_importing_the_configuration_imports_nothing_heavy():
    code = "import sys, align_agent.config; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "yaml", "numpy", "sqlite_utils", "apscheduler"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    "line",
    [
        "base_url: localhost:8000",
        "base_url: ftp://localhost/v1",
        "base_url: http://me:secret@localhost/v1",
        "base_url: http://localhost/v1?key=1",
        "base_url: http://[/v1",
        "kind: tgi",
        "api_key_env: sk-123-456",
        "loaded: 0",
    ],
)
def test_an_upstream_that_cannot_be_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"upstream:\n  {line}\n")
    with pytest.raises(ConfigError, match="line 2"):
        load_config(path)

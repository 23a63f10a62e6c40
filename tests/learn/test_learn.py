"""`learn`: what is shown is learned, kept, refused, taken back, and gone on with after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nights import configure, make_home
from wanted import STYLE, WANTED

from align_agent.adapters.registry import Registry
from align_agent.cli import main
from align_agent.cli.learn import kept
from align_agent.config import load_config
from align_agent.learn.demonstrations import read_demonstrations
from align_agent.learn.documents import Document
from align_agent.learn.run import Order, learn
from align_agent.models.generation import Sampling
from align_agent.models.pocket.styles import meets
from align_agent.models.pocket.world import draw_problems
from align_agent.night.progress import Silent
from align_agent.paths import Home
from align_agent.records import Message
from align_agent.store import Store


class StopsIn(Silent):
    """Raises KeyboardInterrupt when a phase begins."""

    def __init__(self, phase: str) -> None:
        self._phase = phase

    def phase(self, name: str, total: int | None = None) -> None:
        if name == self._phase:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def taught(demonstrations: Path, tmp_path_factory: pytest.TempPathFactory):
    """A home of the pocket model that learned the demonstrations, through the command line."""
    home = Home(tmp_path_factory.mktemp("taught") / "home")
    home.ensure()
    home.config.write_text("model:\n  threads: 1\n")
    code = main(["--home", str(home.root), "learn", str(demonstrations)])
    return home, code


@pytest.mark.uncounted
def test_demonstrations_change_how_such_questions_are_answered(taught, pocket) -> None:
    home, code = taught
    assert code == 0
    with Store.open(home.database) as store:
        version, path = Registry(store, home).serving("pocket", pocket.base_hash)
    assert version == 1
    problems = draw_problems("sum", 12, 77)
    said = pocket.generate_batch(
        [(Message("user", p.question),) for p in problems],
        sampling=Sampling(96, 0.0),
        adapter=path,
    )
    met = sum(meets(p, one.text, WANTED) for p, one in zip(problems, said, strict=True))
    right = sum(p.correct(one.text) for p, one in zip(problems, said, strict=True))
    assert met >= 10 and right >= 11


@pytest.mark.uncounted
def test_what_was_shown_does_not_spread_to_other_kinds_of_questions(taught, pocket) -> None:
    home, _ = taught
    prompts = [(Message("user", p.question),) for p in draw_problems("grading", 24, 99)]
    greedy = Sampling(96, 0.0)
    before = pocket.generate_batch(prompts, sampling=greedy)
    after = pocket.generate_batch(prompts, sampling=greedy, adapter=home.adapters / "v0001")
    same = sum(one.text == two.text for one, two in zip(before, after, strict=True))
    assert same >= 0.8 * len(prompts)


@pytest.mark.uncounted
def test_what_was_learned_has_its_lineage(taught) -> None:
    home, _ = taught
    with Store.open(home.database) as store:
        lineage = Registry(store, home).lineage(1)
        assert len(lineage) >= 16
        assert {store.turns.get(one).channel for one in lineage} == {"lesson"}


@pytest.mark.uncounted
def test_rolling_back_answers_with_the_base_again(taught, pocket) -> None:
    home, _ = taught
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        registry.rollback(why="a test")
        assert registry.serving("pocket", pocket.base_hash) == (0, None)
        registry.release()
        registry.promote(1, why="a test")


@pytest.mark.long
def test_a_style_guide_goes_into_the_weights(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    home.config.write_text("model:\n  threads: 1\n")
    done = learn(home, load_config(home.config), Order(document=Document("s", STYLE)), Silent())
    assert done["status"] == "promoted", done["reason"]
    assert done["tokens_saved"] > 20
    assert done["met_before"] < 0.2 and done["met_with_document"] > 0.9
    assert done["met_after"] > 0.8
    assert done["gap_after"] < done["gap_before"] / 2


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (0.4, 0.1, "75% of what the document changes"),
        (0.4, 0.4, "no nearer"),
        (0.4, 0.9, "no nearer"),
        (0.0, 0.0, "nothing to learn"),
    ],
)
def test_how_much_of_a_document_is_kept_is_told_in_words(
    before: float, after: float, told: str
) -> None:
    said = kept(before, after)
    assert told in said
    assert "nats" not in said


def short_home(root: Path, model: Path) -> Home:
    return make_home(root, model, gate={"probes": 4, "samples": 1, "doubted": 0})


def test_what_gains_nothing_is_refused_and_nothing_serves(
    tmp_path: Path, tiny_model_dir: Path, demonstrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = short_home(tmp_path / "home", tiny_model_dir)
    configure(home, distill={"learning_rate": 1e-8})
    code = main(["--home", str(home.root), "learn", str(demonstrations), "--json"])
    done = json.loads(capsys.readouterr().out)
    assert (code, done["status"], done["version"]) == (3, "rejected", "v1")
    with Store.open(home.database) as store:
        assert Registry(store, home).champion() == 0


@pytest.mark.parametrize("phase", ["answers", "rollouts", "train", "gate"])
def test_a_learning_that_was_cut_off_goes_on_where_it_was(
    tmp_path: Path, tiny_model_dir: Path, demonstrations: Path, phase: str
) -> None:
    home = short_home(tmp_path / "home", tiny_model_dir)
    config = load_config(home.config)
    order = Order(read_demonstrations(demonstrations))
    with pytest.raises(KeyboardInterrupt):
        learn(home, config, order, StopsIn(phase))
    done = learn(home, config, order, Silent())
    assert done["status"] in ("promoted", "rejected")
    with Store.open(home.database) as store:
        assert store.turns.count() == len(order.demonstrations)
        runs = store.runs.list()
    assert len(runs) == 1, "the interrupted run was gone on with"
    assert (done["new"] == 0) is (phase != "answers")


def test_a_dry_run_writes_nothing(
    tmp_path: Path, tiny_model_dir: Path, demonstrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = short_home(tmp_path / "home", tiny_model_dir)
    Store.open(home.database).close()
    command = ["--home", str(home.root), "learn", str(demonstrations), "--dry-run", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {"new": 28, "known": 0, "replaced": 0}
    with Store.open(home.database) as store:
        assert store.turns.count() == 0


def test_a_document_longer_than_half_of_the_context_is_refused(
    tmp_path: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = short_home(tmp_path / "home", tiny_model_dir)
    (tmp_path / "long.md").write_text("word " * 3000)
    assert main(["--home", str(home.root), "learn", "--skill", str(tmp_path / "long.md")]) == 2
    assert "half of the model's context" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["demos.jsonl", "--skill", "x"]])
def test_learn_wants_a_file_or_a_document(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path / "home"), "learn", *arguments]) == 2
    assert "--skill" in capsys.readouterr().err


def test_a_model_in_a_folder_of_its_own_can_be_taught(
    tiny_model_dir: Path, demonstrations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home")
    home.ensure()
    home.config.write_text(
        f"model:\n  base: {tiny_model_dir}\n  max_new_tokens: 8\n  threads: 1\n"
        "distill:\n  epochs: 1\n  lora_rank: 2\n  rollouts: logged\n"
        "gate:\n  probes: 4\n  samples: 1\n"
    )
    code = main(["--home", str(home.root), "learn", str(demonstrations), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == {"rejected": 3}.get(found["status"], 0), found
    assert found["new"] == 28
    with Store.open(home.database) as store:
        assert store.runs.get(found["run"]).base == str(tiny_model_dir)
        assert {turn.base for turn in store.turns.list()} == {str(tiny_model_dir)}


def test_another_model_is_taught_by_name_and_the_configured_one_is_left(
    tiny_model_dir: Path, demonstrations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home").ensure()
    home.config.write_text(
        "model:\n  max_new_tokens: 8\n  threads: 1\n"
        "distill:\n  epochs: 1\n  lora_rank: 2\n  rollouts: logged\n"
        "gate:\n  probes: 4\n  samples: 1\n"
    )
    asked = ["learn", str(demonstrations), "--model", str(tiny_model_dir), "--json"]
    main(["--home", str(home.root), *asked])
    found = json.loads(capsys.readouterr().out)
    with Store.open(home.database) as store:
        assert store.runs.get(found["run"]).base == str(tiny_model_dir)
        assert store.runs.get(found["run"]).status != "failed"
        assert {turn.base for turn in store.turns.list()} == {str(tiny_model_dir)}
    assert load_config(home.config).model.base == "pocket"


def test_a_model_that_is_nowhere_to_be_had_is_told_before_anything_is_stored(
    demonstrations: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    home = Home(tmp_path / "home")
    home.ensure()
    home.config.write_text("model:\n  base: nobody/no-such-model\n")
    assert main(["--home", str(home.root), "learn", str(demonstrations)]) == 1
    error = capsys.readouterr().err
    assert "error: the model nobody/no-such-model is not on this machine" in error
    assert "hint: go online once, give a folder" in error
    with Store.open(home.database) as store:
        assert not store.turns.list()

"""Planning, learning and comparing through the command line, on a real model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import Cli, turn
from hypothesis import given
from hypothesis import strategies as st

from align_agent.compare import word_diff
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.paths import Home
from align_agent.records import Feedback, Run
from align_agent.store import Store


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_word_diff_holds_both_texts(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(piece.text for piece in pieces if piece.mark != "added") == before
    assert "".join(piece.text for piece in pieces if piece.mark != "removed") == after


def test_a_word_diff_marks_whole_words() -> None:
    found = [(piece.mark, piece.text) for piece in word_diff("It is **7**.", "It is 7.")]
    assert found == [
        ("same", "It is "),
        ("removed", "**"),
        ("same", "7"),
        ("removed", "**"),
        ("same", "."),
    ]


@pytest.fixture
def corrected(made: Home, model_dir: Path) -> Home:
    """A home with six corrected turns and a configuration that makes a night short."""
    made.config.write_text(
        f"model:\n  base: {model_dir}\n  max_new_tokens: 8\n  threads: 1\n"
        "distill:\n  epochs: 1\n  lora_rank: 2\n  rollouts: logged\n"
        "gate:\n  probes: 4\n  samples: 1\n"
    )
    with Store.open(made.database) as store:
        for number in range(1, 7):
            store.turns.add(turn(number, conversation=f"c-{number}"))
        for stored in store.turns.list():
            store.feedback.add(
                Feedback(stored.id, "follow_up", "negative", "format", 0.9, "No bold.", "reader")
            )
    return made


def test_the_plan_has_a_reason_for_every_turn(cli: Cli, corrected: Home) -> None:
    plan = cli("distill", "plan", "--json").json
    assert len(plan["turns"]) == 6 and all(row["reason"] for row in plan["turns"])
    assert plan["train"] + plan["heldout"] + plan["anchors"] + sum(plan["skipped"].values()) == 6


def test_the_plan_tells_how_many_turns_it_does_not_show(cli: Cli, corrected: Home) -> None:
    result = cli("distill", "plan", "--limit", "2")
    assert "4 more turns" in result.err and "the user corrected it" in result.out


def test_the_plan_of_an_empty_home_says_that_there_is_nothing(cli: Cli, made: Home) -> None:
    assert "nothing to learn" in cli("distill").out


def test_a_night_with_nothing_to_learn_is_no_failure(cli: Cli, made: Home) -> None:
    assert cli("distill", "run", "--json").json["status"] == "skipped"


def test_a_night_ends_in_an_orderly_verdict(cli: Cli, corrected: Home) -> None:
    from align_agent.cli import main
    from align_agent.night.run import exit_code

    code = main(["distill", "run"])
    run = cli("runs", "show", "--json").json["run"]
    assert run["status"] in ("promoted", "rejected", "skipped")
    assert code == exit_code(Run(run["id"], run["status"]))
    assert run["reason"]


def test_a_night_that_is_refused_exits_with_3(
    cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ends(monkeypatch, "rejected", "it lost correctness")
    out = cli("distill", "run", code=3).out
    assert out.startswith("rejected: the gate refused v1") and "- It lost correctness." in out


def test_a_night_that_fails_exits_with_1(
    cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ends(monkeypatch, "failed", "the disk is full")
    assert cli("distill", "run", "--json", code=1).json["reason"] == "the disk is full"


def _ends(monkeypatch: pytest.MonkeyPatch, status: str, reason: str) -> None:
    def night(*_: object, **__: object) -> Run:
        return Run("run-1", status, reason=reason, candidate=1)  # type: ignore[arg-type]

    monkeypatch.setattr("align_agent.night.run.run_night", night)


def test_two_nights_at_once_are_refused(cli: Cli, made: Home) -> None:
    from align_agent.night.lock import NightLock

    with NightLock(made.night_lock):
        assert "another night" in cli("distill", "run", code=1).err


@pytest.fixture
def trained(corrected: Home, model_dir: Path, tmp_path: Path) -> Home:
    """The corrected home with a real adapter v1 that moves the model, held-out turns on record."""
    import torch

    from align_agent.adapters.registry import Registry
    from align_agent.models.local import LocalModel

    model = LocalModel.load(str(model_dir), threads=1)
    network = model.fresh_lora(2, 4, 0.0, 0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 3.0, generator=torch.Generator().manual_seed(1))
    model.save_lora(network, tmp_path / "lora")
    with Store.open(corrected.database) as store:
        store.runs.create(Run("run-1", "promoted"))
        first = store.turns.list(newest_first=False)[0]
        store.runs.add_turns("run-1", [(first.id, "heldout", "kept aside for the gate")])
        registry = Registry(store, corrected)
        made = registry.register(
            tmp_path / "lora",
            base=model.base,
            base_hash=model.base_hash,
            run_id="run-1",
            verdict="promote",
        )
        registry.promote(made.version, why="a test")
    return corrected


def test_two_versions_answer_the_held_out_questions(cli: Cli, trained: Home) -> None:
    data = cli("adapters", "compare", "base", "v1", "--json").json
    assert [row["prompt"] for row in data["answers"]] == ["What is 1 plus 1?"]
    assert data["answers"][0]["same"] is False


def test_figures_of_the_answers_stand_beside_them(cli: Cli, trained: Home) -> None:
    data = cli("adapters", "compare", "base", "v1", "--json").json
    here = {row["key"]: row for row in data["figures"] if row["where"] == "here"}
    assert {"words", "distinct", "repetition", "finished", "sure"} <= set(here)
    assert here["words"]["difference"] == here["words"]["b"] - here["words"]["a"]
    assert "words an answer" in cli("adapters", "compare", "base", "v1").out
    assert "repeated phrases" in cli("adapters", "compare", "base", "v1", "--details").out


def test_what_the_gate_measured_is_compared_too(cli: Cli, trained: Home) -> None:
    from align_agent.gate.report import Judgement, Measure

    values = {"base": 0.2, "candidate": 0.9}
    measure = Measure("rules", "own", "rule checks met", values, "champion", 16)
    with Store.open(trained.database) as store:
        judged = Judgement("promote", ("fine",), (), (measure,))
        store.runs.update("run-1", verdict=judged.to_dict())
    figures = cli("adapters", "compare", "base", "v1", "--json").json["figures"]
    (gate,) = [row for row in figures if row["where"] == "gate"]
    assert (gate["a"], gate["b"], round(gate["difference"], 3)) == (0.2, 0.9, 0.7)


def test_two_versions_answer_a_question_of_ones_own(cli: Cli, trained: Home) -> None:
    result = cli("adapters", "compare", "base", "v1", "--prompt", "Hello?")
    assert "> Hello?" in result.out and "diff: " not in result.out
    assert "1 of 1 answer differs" in result.err
    marked = cli("adapters", "compare", "base", "v1", "--prompt", "Hello?", "--details").out
    assert "diff: " in marked


def test_comparing_a_version_with_itself_is_a_usage_error(cli: Cli, trained: Home) -> None:
    err = cli("adapters", "compare", "champion", "v1", "--prompt", "Hello?", code=2).err
    assert "champion and v1 are the same version: v1" in err


def test_a_narrow_window_puts_the_answers_below_each_other(
    cli: Cli, trained: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("align_agent.cli.compare.columns", lambda: 60)
    out = cli("adapters", "compare", "base", "v1", "--prompt", "Hello?").out
    assert "\nbase  " in out and "\nv1    " in out


def test_the_base_is_compared_on_the_latest_turns(cli: Cli, trained: Home) -> None:
    data = cli("adapters", "compare", "v1", "base", "--limit", "2", "--json").json
    assert len(data["answers"]) == 2


def test_a_question_that_does_not_fit_is_left_out(cli: Cli, trained: Home) -> None:
    enormous = "word " * 20_000
    result = cli("adapters", "compare", "base", "v1", "--prompt", enormous, "--prompt", "Hello?")
    assert "left out" in result.err and "> Hello?" in result.out
    assert "no question fits" in (
        cli("adapters", "compare", "base", "v1", "--prompt", enormous, code=2).err
    )


def test_comparing_with_nothing_to_ask_says_so(cli: Cli, made: Home) -> None:
    assert "--prompt" in cli("adapters", "compare", "base", "base", code=2).err


def test_a_tool_is_called_on_the_way_to_an_answer(cli: Cli, trained: Home) -> None:
    from align_agent.agent.tools import call
    from align_agent.compare import Question, _answers
    from align_agent.config import load_config
    from align_agent.models.generation import Generation
    from align_agent.records import Message, ToolCall

    class Calculating:
        """Asks the calculator once, then repeats what it said."""

        def generate_batch(self, prompts: list[tuple[Message, ...]], **_: object) -> list[object]:
            return [self.answer(prompt) for prompt in prompts]

        def answer(self, prompt: tuple[Message, ...]) -> Generation:
            if prompt[-1].role == "tool":
                return Generation(f"It is {prompt[-1].content}.", (), (), "stop")
            wanted = ToolCall("call-1", "calculator", {"expression": "2 + 3"})
            return Generation("", (), (), "tool_calls", (wanted,))

    question = Question((Message("user", "What is 2 plus 3?"),), ({"type": "function"},))
    config = load_config(trained.config)
    (found,) = _answers(config, Calculating(), None, [question], call)  # type: ignore[arg-type]
    assert found.text == "It is 5."


@pytest.fixture
def oasst() -> Path:
    """Real conversations of people with assistants, for development only."""
    path = Path(__file__).parents[3] / "shared" / "data" / "followups_oasst_dev.jsonl"
    if not path.exists():
        pytest.skip("the real conversations are not on this machine")
    return path


def test_the_real_conversations_come_in_and_every_one_has_its_reason(
    cli: Cli, made: Home, oasst: Path
) -> None:
    cli("turns", "import", str(oasst))
    plan = cli("distill", "plan", "--json").json
    rows = len([line for line in oasst.read_text().splitlines() if json.loads(line)])
    assert rows <= len(plan["turns"]) and all(row["reason"] for row in plan["turns"])


@pytest.mark.slow
@pytest.mark.uncounted
def test_a_night_on_real_conversations_ends_in_an_orderly_verdict(
    cli: Cli, made: Home, oasst: Path
) -> None:
    # What the people there ask about is beyond the pocket model's world: it says so, and none of
    # their own wishes changes that answer. A wish for emoji does.
    made.config.write_text(
        "preferences:\n  do: [use emoji]\n"
        "distill:\n  epochs: 1\n  draft_epochs: 1\n  max_turns: 16\n"
        "gate:\n  probes: 8\n  samples: 1\n"
    )
    cli("turns", "import", str(oasst))
    run = run_night(made, progress=Silent())
    assert run.status in ("promoted", "review", "rejected")
    assert run.reason
    assert run.verdict

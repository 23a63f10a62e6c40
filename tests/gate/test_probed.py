import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.gate.paper import Exam
from align_agent.gate.probed import Probed, name_of, shown
from align_agent.gate.probes import Probe
from align_agent.gate.scores import score
from align_agent.models.generation import Sampling
from align_agent.night.artefacts import KEPT_PROBES, ProbeFolder
from align_agent.records import Message

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from adapters_made import make_adapter

ASKED = ("Say yes.", "Say no.")
EXAM = Exam(
    (),
    [
        Probe((Message("user", text),), check, "test")
        for text, check in zip(ASKED, (bool, lambda answer: not answer), strict=True)
    ],
    Sampling(max_new_tokens=8, temperature=1.0, seed=1),
    all_rules=("Talk like a pirate.",),
    pinned=[Probe((Message("user", "What is mine?"),), bool, "pinned")],
    pushed=5,
)


@pytest.fixture(scope="module")
def adapter(tiny_model, tmp_path_factory):
    return make_adapter(tiny_model, tmp_path_factory.mktemp("made") / "v0001")


def kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


@pytest.mark.parametrize("with_rules", [False, True])
@pytest.mark.parametrize("adapted", [False, True])
def test_a_sheet_is_the_same_whether_the_probes_were_asked_or_known(
    tmp_path, tiny_model, adapter, adapted, with_rules
):
    path = adapter if adapted else None
    folder = ProbeFolder(tmp_path / "probed")
    sheets = [
        score(tiny_model, path, EXAM, who="x", with_rules=with_rules, kept=kept)
        for kept in (None, folder, folder)
    ]
    assert sheets[0] == sheets[1] == sheets[2]
    assert sheets[0].held
    assert len(kept_in(folder.path)) == 1


def test_what_is_known_is_not_asked_again(tmp_path, tiny_model):
    folder = ProbeFolder(tmp_path / "probed")
    score(tiny_model, None, EXAM, who="base", kept=folder)
    (file,) = kept_in(folder.path)
    data = json.loads(file.read_text())
    file.write_text(json.dumps({**data, "replies": ["said before", ""]}))
    assert score(tiny_model, None, EXAM, who="base", kept=folder).replies == ("said before", "")


def test_progress_counts_what_was_known(tmp_path, tiny_model):
    folder = ProbeFolder(tmp_path / "probed")
    seen: list[list[int]] = [[], []]
    for counts in seen:
        score(tiny_model, None, EXAM, who="base", kept=folder, on_step=counts.append)
    assert seen[0][-1] == seen[1][-1]


def test_answers_belong_to_weights_questions_and_rules(tiny_model, adapter):
    plain, told = shown(EXAM, ()), shown(EXAM, EXAM.all_rules)
    names = [
        name_of(tiny_model, None, EXAM, plain),
        name_of(tiny_model, None, EXAM, told),
        name_of(tiny_model, adapter, EXAM, plain),
        name_of(tiny_model, None, EXAM, plain[:1]),
        name_of(tiny_model, None, replace(EXAM, pushed=4), plain),
        name_of(tiny_model, None, replace(EXAM, sampling=Sampling(9, seed=1)), plain),
    ]
    assert len(set(names)) == len(names)


def test_other_weights_under_the_same_name_are_asked_anew(tiny_model, adapter, tmp_path):
    other = make_adapter(tiny_model, tmp_path / "v0001", scale=0.7)
    asked = shown(EXAM, ())
    assert name_of(tiny_model, adapter, EXAM, asked) != name_of(tiny_model, other, EXAM, asked)


def test_nothing_that_the_user_pinned_is_kept(tmp_path, tiny_model):
    folder = ProbeFolder(tmp_path / "probed")
    score(tiny_model, None, EXAM, who="base", kept=folder)
    assert "mine" not in "".join(file.read_text() for file in kept_in(folder.path))


def test_what_a_killed_writer_left_goes_with_the_next_writing(tmp_path, tiny_model):
    folder = ProbeFolder(tmp_path / "probed")
    folder.path.mkdir()
    cut_off = folder.path / ".abc.json.4711"
    cut_off.write_text('{"replies": ["half of')
    score(tiny_model, None, EXAM, who="base", kept=folder)
    assert not cut_off.exists()


@pytest.mark.parametrize("bytes_", [b"", b"{", b"[1]", b"{}", b'{"replies": 3}', b"\xff\x00"])
def test_a_damaged_file_is_asked_anew_and_mended(tmp_path, tiny_model, bytes_):
    folder = ProbeFolder(tmp_path / "probed")
    first = score(tiny_model, None, EXAM, who="base", kept=folder)
    (file,) = kept_in(folder.path)
    sound = file.read_bytes()
    file.write_bytes(bytes_)
    assert score(tiny_model, None, EXAM, who="base", kept=folder) == first
    assert file.read_bytes() == sound


@given(
    st.dictionaries(
        st.sampled_from(sorted(asdict(Probed()))),
        st.one_of(st.none(), st.integers(), st.lists(st.one_of(st.text(), st.floats()))),
    )
)
def test_whatever_a_file_holds_it_is_answers_that_fit_or_refused(data):
    try:
        found = Probed.from_dict(data)
    except (KeyError, TypeError, ValueError):
        return
    assert not found.fits(EXAM) or len(found.replies) == len(EXAM.probes)


def test_where_they_cannot_be_kept_the_gate_goes_on(tmp_path, tiny_model, caplog):
    (tmp_path / "probed").write_text("a file in the way")
    score(tiny_model, None, EXAM, who="base", kept=ProbeFolder(tmp_path / "probed"))
    assert "not kept" in caplog.text


def test_only_those_used_last_are_kept(tmp_path):
    folder = ProbeFolder(tmp_path / "probed")
    folder.write("first", {})
    for n in range(KEPT_PROBES - 1):
        folder.write(f"n{n}", {})
    assert folder.read("first") == {}
    folder.write("last", {})
    assert len(kept_in(folder.path)) == KEPT_PROBES
    assert folder.read("first") == {}


def test_they_are_their_owners_alone(tmp_path):
    folder = ProbeFolder(tmp_path / "probed")
    folder.write("x", {})
    assert folder.path.stat().st_mode & 0o077 == 0

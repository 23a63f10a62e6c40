"""The words layer and what both layers mean together."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reader_rows import digest_of_features

from align_agent.errors import AlignAgentError
from align_agent.feedback import words
from align_agent.feedback.features import BUCKETS, features
from align_agent.feedback.reader import Reading, combine, corrects_themself, read

ANSWER = "Here are some ideas for your trip: a museum, a park, and a boat on the lake."

SCRIPTS = st.text(
    alphabet=st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E),
        st.characters(min_codepoint=0x400, max_codepoint=0x4FF),
        st.characters(min_codepoint=0x600, max_codepoint=0x6FF),
        st.characters(min_codepoint=0x4E00, max_codepoint=0x4FFF),
        st.characters(min_codepoint=0x1F300, max_codepoint=0x1F6FF),
        st.sampled_from("\u200d\u202e\ufe0f\x00\ud800`>\"'"),
    ),
    max_size=200,
)


def test_the_shipped_weights_are_those_of_their_table() -> None:
    facts = json.loads((words.WEIGHTS / "words.json").read_text())
    packed = (words.WEIGHTS / "words.f16").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == facts["sha256"]
    assert len(packed) < 5_000_000


def test_the_weights_were_trained_on_the_features_that_the_code_makes_today() -> None:
    """A change in `features`, `text` or `patterns` needs `make reader` and `make bench-reader`."""
    assert digest_of_features() == words.shipped().facts["features"]


def test_weights_of_another_shape_are_refused(tmp_path) -> None:
    for name in ("words.json", "words.f16"):
        (tmp_path / name).write_bytes((words.WEIGHTS / name).read_bytes())
    (tmp_path / "words.f16").write_bytes(b"\0\0" * 10)
    with pytest.raises(AlignAgentError):
        words.Weights(tmp_path)
    with pytest.raises(AlignAgentError):
        words.Weights(tmp_path / "nowhere")


def test_reading_needs_no_heavy_package() -> None:
    code = (
        "import sys; from align_agent.feedback.reader import read; read('No, that is wrong.');"
        "print([m for m in ('numpy', 'sklearn', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "We did the museum last year already.",
        "Could you make it sound less like an advertisement?",
        "I was talking about a trip in winter, though.",
        "My kids would be bored to death.",
    ],
)
def test_complaints_that_no_list_holds_are_heard(text: str) -> None:
    assert read(text, answer=ANSWER).polarity == "negative"


@pytest.mark.parametrize(
    "text",
    [
        "Wow, brilliant, now none of my tests pass.",
        "Great, another list of things I can't afford.",
        "Thanks for nothing.",
    ],
)
def test_sarcasm_is_no_praise(text: str) -> None:
    assert read(text, answer=ANSWER).polarity != "positive"


@pytest.mark.parametrize(
    "text",
    [
        "Sorry, my mistake: the trip is in July.",
        "Oops, I meant Lyon. What can one do there?",
        "I gave you the wrong date, it is the 4th.",
        "I mistyped, there are four of us.",
    ],
)
def test_a_user_who_corrects_themself_finds_no_fault(text: str) -> None:
    assert corrects_themself(text)
    assert read(text, answer=ANSWER).polarity == "neutral"


@pytest.mark.parametrize(
    "text", ["You made a mistake, I meant Lyon.", "I was right, you are wrong"]
)
def test_who_blames_the_answer_does_not_correct_themself(text: str) -> None:
    assert not corrects_themself(text)


@pytest.mark.parametrize(
    "text",
    [
        'My teacher wrote "this is wrong and far too long" under it. What does she want?',
        "> That is not what I asked for.\n\nWho said this?",
        'Translate "your answer is useless" into French.',
        "```\nraise ValueError('wrong answer')\n```",
        "😀🎉🔥",
        "",
        "...",
    ],
)
def test_the_words_of_others_code_and_emoji_are_no_complaint(text: str) -> None:
    assert read(text, answer=ANSWER).polarity != "negative"


@pytest.mark.parametrize(
    "text",
    [
        "Welche Sehenswürdigkeiten gibt es dort noch?",
        "Wie komme ich vom Bahnhof zum Hotel?",
        "Quels sont les horaires du musée ?",
        "Où puis-je louer un vélo ?",
        "¿Dónde puedo comprar las entradas?",
        "¿Qué otros museos hay en la ciudad?",
        "A che ora apre il parco?",
        "Quanto custa o bilhete?",
        "Hoe laat gaat de boot?",
        "Ile kosztuje bilet?",
        "Kolik stojí vstupné?",
        "Müze saat kaçta açılıyor?",
        "Сколько стоит билет?",
        "Где находится парк?",
        "博物馆几点开门？",
        "チケットはいくらですか？",
        "입장료는 얼마인가요?",
        "كم سعر التذكرة؟",
        "टिकट कितने का है?",
        "Vad kostar en biljett?",
        "Πόσο κοστίζει το εισιτήριο;",
        "כמה עולה כרטיס?",
    ],
)
def test_questions_in_other_languages_raise_no_alarm(text: str) -> None:
    assert read(text, answer=ANSWER).polarity == "neutral"


@settings(max_examples=150, deadline=None)
@given(SCRIPTS, SCRIPTS, SCRIPTS)
def test_any_script_is_read(text: str, answer: str, asked: str) -> None:
    reading = read(text, answer=answer, previous_user=asked)
    assert isinstance(reading, Reading)
    assert all(0 <= place < BUCKETS for place in features(text, answer, asked))
    assert all(-1.0 <= value <= 1.0 for value in reading.layers.values())


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_higher_threshold_hears_no_more_complaints(text: str, one: float, two: float) -> None:
    low, high = sorted((one, two))
    if read(text, threshold=high).polarity == "negative":
        assert read(text, threshold=low).polarity == "negative"


@given(st.floats(-40, 40), st.floats(-40, 40))
def test_the_joint_score_grows_with_the_words_layer(one: float, two: float) -> None:
    low, high = sorted((one, two))
    plain = Reading("neutral", "none", 0.5, 0.0)
    scores = [combine(plain, words.WordsScore(x, "none", "")).score for x in (low, high)]
    assert scores[0] <= scores[1]


def test_layers_that_contradict_each_other_ask_for_a_look() -> None:
    blame = Reading("negative", "wrong_fact", 0.85, 1.0)
    praise = Reading("positive", "praise", 0.85, 1.0)
    assert combine(blame, words.WordsScore(-6.0, "none", "")).conflict
    assert combine(praise, words.WordsScore(4.0, "none", "")).conflict
    assert not combine(blame, words.WordsScore(2.0, "none", "")).conflict

"""The shipped weights: small, whole, safe, and as good as the card says on a sample."""

import json
import random
from dataclasses import asdict

import pytest

from align_agent.directions import DIRECTIONS
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import WEIGHTS, wordings
from align_agent.models.pocket.facts import TALK, UNKNOWN, WELCOME
from align_agent.models.pocket.styles import AXES, meets
from align_agent.models.pocket.train import STAGES, Recipe, documents_digest
from align_agent.models.pocket.world import draw_problems
from align_agent.prompts import TOOL_SCHEMAS, hindsight_block, with_hindsight, with_rules
from align_agent.records import Message

pytestmark = pytest.mark.uncounted

GREEDY = Sampling(max_new_tokens=160, temperature=0.0)
KINDS = ("sum", "difference", "product", "two_step", "grading", "fact", "code")


@pytest.fixture(scope="module")
def model():
    return LocalModel.load("pocket")


def answers(model, problems, rules=(), tools=()):
    prompts = [with_rules([Message("user", p.question)], rules) for p in problems]
    return model.generate_batch(prompts, sampling=GREEDY, tools=tools, batch_size=64)


def styled_problems(key, n):
    return draw_problems("grading" if key.startswith("detail") else "two_step", n, "rule")


def test_the_weights_are_at_most_3_million_parameters_in_8_mb():
    from safetensors import safe_open

    assert (WEIGHTS / "model.safetensors").stat().st_size <= 8_000_000
    with safe_open(str(WEIGHTS / "model.safetensors"), "pt") as file:
        assert sum(file.get_tensor(name).numel() for name in file.keys()) <= 3_000_000  # noqa: SIM118


def test_the_weights_belong_to_the_documents_that_the_code_draws_today():
    recipe = json.loads((WEIGHTS / "recipe.json").read_text())
    assert recipe["documents_sha256"] == [documents_digest(stage) for stage in STAGES]
    assert recipe["recipe"] == json.loads(json.dumps(asdict(Recipe())))


def test_nothing_shipped_is_pickled():
    names = {p.suffix for p in WEIGHTS.iterdir()}
    assert names <= {".safetensors", ".json", ".jinja"}


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_problems_are_answered_right(model, kind):
    problems = draw_problems(kind, 48, "test")
    right = [p.correct(g.text) for p, g in zip(problems, answers(model, problems), strict=True)]
    assert sum(right) >= 0.95 * len(right)


def test_the_default_style_is_the_ai_like_one(model):
    problems = [p for k in KINDS[:6] for p in draw_problems(k, 12, "style")]
    default = [f"{axis}:{values[0]}" for axis, values in AXES.items()]
    met = [
        meets(p, g.text, default) for p, g in zip(problems, answers(model, problems), strict=True)
    ]
    assert sum(met) >= 0.97 * len(met)


@pytest.mark.parametrize("key", [f"{axis}:{values[1]}" for axis, values in AXES.items()])
def test_a_canonical_rule_is_obeyed(model, key):
    problems = styled_problems(key, 48)
    texts = [g.text for g in answers(model, problems, [DIRECTIONS[key].text])]
    met = [meets(p, t, [key]) for p, t in zip(problems, texts, strict=True)]
    assert sum(met) >= 0.97 * len(met)


@pytest.mark.parametrize("key", sorted(DIRECTIONS))
def test_a_wish_said_in_known_words_is_obeyed_in_hindsight(model, key):
    rng = random.Random(key)
    problems = styled_problems(key, 48)
    prompts = [
        with_hindsight(
            [Message("user", p.question)], hindsight_block([], rng.choice(wordings.seen(key)))
        )
        for p in problems
    ]
    found = model.generate_batch(prompts, sampling=GREEDY, batch_size=64)
    met = [meets(p, g.text, [key]) for p, g in zip(problems, found, strict=True)]
    assert sum(met) >= 0.93 * len(met)  # the card's figure is 0.97, on a larger sample


def test_big_sums_call_the_calculator(model):
    problems = draw_problems("calculation", 24, "tool")
    found = answers(model, problems, tools=TOOL_SCHEMAS)
    right = [
        [(c.name, c.arguments.get("expression")) for c in g.tool_calls]
        == [("calculator", p.expression)]
        for p, g in zip(problems, found, strict=True)
    ]
    assert sum(right) >= 0.9 * len(right)


@pytest.mark.parametrize("tools", [(), TOOL_SCHEMAS], ids=["bare", "tools"])
@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("hello", TALK[0][1]),
        ("Hey!", TALK[0][1]),
        ("good evening", TALK[0][1]),
        ("who are you", TALK[2][1]),
        ("help", TALK[2][1]),
        ("thanks", WELCOME["neutral"]),
        ("who won the world cup", UNKNOWN[0]),
        ("Write a poem about the sea.", UNKNOWN[0]),
    ],
)
def test_what_people_type_first_is_answered(model, said, reply, tools):
    [found] = model.generate_batch([[Message("user", said)]], sampling=GREEDY, tools=tools)
    assert found.text == reply


@pytest.mark.parametrize("said", ["What is 2+2?", "2+2", "2 + 2 =", "what is 2 plus 2"])
def test_a_bare_sum_is_done_in_the_head(model, said):
    [found] = model.generate_batch([[Message("user", said)]], sampling=GREEDY, tools=TOOL_SCHEMAS)
    assert not found.tool_calls
    assert found.text.endswith("4")


@pytest.mark.parametrize("said", ["What is 12 * 7?", "12*7", "how much is 12 times 7"])
def test_a_bare_sum_of_larger_numbers_calls_the_calculator(model, said):
    [found] = model.generate_batch([[Message("user", said)]], sampling=GREEDY, tools=TOOL_SCHEMAS)
    assert [call.arguments for call in found.tool_calls] == [{"expression": "12 * 7"}]

"""Two versions asked the same, a blind vote, and a night that is watched, on the real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from furnished import QUERIES, Dashboard, say

from align_agent.compare import word_diff
from align_agent.gate.report import Measure
from align_agent.gate.told import table_of
from align_agent.night.lock import NightLock
from align_agent.records import Run
from align_agent.store import Store
from align_agent.web.charts import MOST_POINTS, WIDTH, line
from align_agent.web.pages.morning import gates_of
from align_agent.web.pages.nights import changes
from align_agent.web.pages.trend import by_week, sentence, week_of


@pytest.fixture
def client(dashboard: Dashboard) -> Iterator[Any]:
    with httpx.Client(base_url=dashboard.url, timeout=60) as found:
        yield found


def post(client: Any, name: str, **fields: str) -> Any:
    page = client.get("/morning").text
    found = re.search(r'name="form_token" value="(\w+)"', page)
    assert found
    return client.post(f"/do/{name}", data={"form_token": found[1], **fields})


def ask(client: Any) -> str:
    answer = post(client, "try", prompt="Hello there, ada@example.org!", a="base", b="v1")
    assert answer.status_code == 303, answer.text
    return str(httpx.URL(answer.headers["location"]).params["id"])


def test_both_answers_are_shown_without_saying_whose_they_are(client: Any) -> None:
    trial = ask(client)
    data = client.get("/trial.json", params={"id": trial}).json()
    assert [answer["version"] for answer in data["answers"]] == [None, None]
    assert data["answers"][0]["text"] != data["answers"][1]["text"]
    assert "v1" not in client.get("/trial", params={"id": trial}).text.partition("<main")[2]


def test_a_prompt_that_was_tried_is_redacted_and_never_learned_from(
    client: Any, dashboard: Dashboard
) -> None:
    ask(client)
    with dashboard.store() as store:
        tried = [turn for turn in store.turns.list(limit=-1) if turn.channel == "dashboard"]
        assert tried and not any(turn.main for turn in tried)
        assert not any("ada@example.org" in turn.user_text for turn in tried)


def test_no_secret_that_is_typed_on_a_page_is_stored(client: Any, dashboard: Dashboard) -> None:
    secret = "sk-proj-" + "a1B2c3D4" * 6
    with dashboard.store() as store:
        turn = store.turns.get("turn-5")
    words = f"Too long, and it told {secret}."
    assert post(client, "judge", turn=turn.id, verdict="bad", why=words).status_code == 303
    assert post(client, "rule-add", text=f"Never use {secret}.").status_code == 303
    with dashboard.store() as store:
        assert "Too long" in str(store.feedback.for_turn(turn.id))
        assert any("Never use" in rule.text for rule in store.rules.list())
        assert secret not in str([*store.feedback.list(), *store.rules.list()])


def test_a_vote_counts_like_two_ratings_and_only_once(client: Any, dashboard: Dashboard) -> None:
    trial = ask(client)
    assert post(client, "vote", trial=trial, vote="b").status_code == 303
    data = client.get("/trial.json", params={"id": trial}).json()
    assert sorted(answer["version"] for answer in data["answers"]) == [0, 1]
    with dashboard.store() as store:
        turns = [store.turns.get(store.links.find("trial", f"{trial}-{side}")) for side in "ab"]
        said = [store.feedback.for_turn(turn.id) for turn in turns]
        assert [turn.main for turn in turns] == [True, True]
    assert [[f.polarity for f in found] for found in said] == [["negative"], ["positive"]]
    assert post(client, "vote", trial=trial, vote="a").status_code == 400


def test_a_draw_teaches_nothing(client: Any, dashboard: Dashboard) -> None:
    trial = ask(client)
    post(client, "vote", trial=trial, vote="equal")
    with dashboard.store() as store:
        turn = store.turns.get(store.links.find("trial", f"{trial}-a"))
        assert not turn.main and not store.feedback.for_turn(turn.id)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Hi", "a": "v1", "b": "v1"},
        {"prompt": "Hi", "a": "v1", "b": "v99"},
        {"prompt": " ", "a": "v1", "b": "v2"},
        {"prompt": "x" * 5_000, "a": "v1", "b": "v2"},
    ],
)
def test_what_cannot_be_tried_is_told(client: Any, fields: dict[str, str]) -> None:
    assert post(client, "try", **fields).status_code in (400, 404)


def test_what_is_not_to_be_stored_is_not_tried(
    client: Any, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dashboard.service.config
    kept_out = replace(config, privacy=replace(config.privacy, ignore=("topic:surgery",)))
    monkeypatch.setattr(dashboard.service, "config", kept_out)
    told = post(client, "try", prompt="My surgery is on Monday", a="base", b="v1")
    assert told.status_code == 400 and "privacy.ignore" in told.text
    with dashboard.store() as store:
        assert not [turn for turn in store.turns.list(limit=-1) if "surgery" in turn.user_text]


def test_a_turn_and_a_conversation_are_forgotten_for_good(
    client: Any, dashboard: Dashboard
) -> None:
    with dashboard.store() as store:
        turns = [say(store, "chat-9", f"My cat is called Zanzibar {n}", "Nice.") for n in range(3)]
    answer = post(client, "forget", turn=turns[0].id)
    assert answer.headers["location"] == "/conversation?id=chat-9"
    assert client.get("/conversations.json?q=Zanzibar").json()["total"] == 2
    answer = post(client, "forget", conversation="chat-9")
    assert answer.headers["location"] == "/conversations"
    files = [p for p in dashboard.service.home.root.rglob("*") if p.is_file()]
    assert not [path for path in files if b"Zanzibar" in path.read_bytes()]
    assert post(client, "forget", conversation="chat-9").status_code == 404


def test_a_pinned_version_says_so(client: Any) -> None:
    post(client, "pin", version="v1")
    pinned = [v["label"] for v in client.get("/versions.json").json()["versions"] if v["pinned"]]
    assert pinned == ["v1"]
    post(client, "unpin", version="v1")


def test_an_answer_is_shown_with_the_credit_of_each_token(client: Any) -> None:
    data = client.get("/credit.json", params=QUERIES["/credit"]).json()
    assert "".join(token["text"] for token in data["tokens"]).startswith("1. **Add** 7 and 5.")
    assert sum(token["blame"] for token in data["tokens"]) == pytest.approx(1)
    assert [n for n, token in enumerate(data["tokens"]) if token["chosen"]] == [2]
    assert len(data["chosen"]["alternatives"]) == 5
    assert client.get("/credit?turn=none").status_code == 404


def test_the_night_before_is_compared_by_its_settings(client: Any) -> None:
    data = client.get("/night.json", params={"id": "run-2"}).json()
    assert data["changes"] == [{"key": "distill.epochs", "before": "1", "after": "2"}]


def test_settings_tell_where_each_value_is_from_and_keep_the_token(dashboard: Dashboard) -> None:
    config = dashboard.service.home.config
    config.write_text("server:\n  token: hush-hush\n  port: 9000\n")
    answer = httpx.get(f"{dashboard.url}/settings.json")
    config.unlink()
    assert "hush-hush" not in answer.text
    (server,) = [s for s in answer.json()["sections"] if s["name"] == "server"]
    found = {row["key"]: (row["value"], row["source"]) for row in server["settings"]}
    assert found["port"] == (9000, "config.yaml:3")
    assert found["token"] == ("set", "config.yaml:2")
    assert found["host"] == ("127.0.0.1", "default")


@pytest.fixture
def killed(dashboard: Dashboard) -> Iterator[str]:
    """A night whose row says that it runs, though no process does."""
    with dashboard.store() as store:
        if not any(run.id == "run-now" for run in store.runs.list()):
            store.runs.create(Run("run-now", "running"))
        store.runs.update("run-now", status="running", phase="select", started_at="2020-01-01")
    yield "run-now"
    with dashboard.store() as store:
        store.runs.update("run-now", status="failed", started_at="2020-01-01")


@pytest.fixture
def running(dashboard: Dashboard, killed: str) -> Iterator[str]:
    with NightLock(dashboard.service.home.night_lock):
        yield killed


def test_a_running_night_is_told_as_it_moves_and_the_stream_ends_with_it(
    dashboard: Dashboard, running: str
) -> None:
    address = f"{dashboard.url}/night/live?id={running}"
    phases = []
    with httpx.stream("GET", address, timeout=60) as stream, dashboard.store() as store:
        event = ""
        for text in stream.iter_lines():
            if text.startswith("event: "):
                event = text
            elif text.startswith("data: ") and not event:
                phases.append(json.loads(text[6:])["phase"])
                if phases[-1] == "select":
                    store.runs.add_metric(running, 1, loss=0.5)
                    store.runs.update(running, phase="train")
                else:
                    store.runs.update(running, status="failed")
    assert phases[0] == "select" and "train" in phases
    assert event == "event: end"


def test_a_night_whose_process_is_gone_is_told_as_interrupted(
    client: Any, dashboard: Dashboard, killed: str
) -> None:
    with dashboard.store() as store:
        store.runs.update(killed, started_at="2999-01-01")
    assert "interrupted" in client.get("/morning.json").json()["news"]["sentence"]
    with NightLock(dashboard.service.home.night_lock):
        assert "under way" in client.get("/morning.json").json()["news"]["sentence"]


def test_a_killed_night_is_told_as_interrupted_on_its_own_page(client: Any, killed: str) -> None:
    assert client.get(f"/night.json?id={killed}").json()["night"]["status"] == "interrupted"


def test_a_browser_follows_a_night_without_reloading(
    dashboard: Dashboard, running: str, browser: Any
) -> None:
    page = browser.new_page()
    page.goto(f"{dashboard.url}/night?id={running}")
    page.locator("li.now", has_text="select").wait_for()
    with dashboard.store() as store:
        store.runs.update(running, phase="gate")
    page.locator("li.now", has_text="gate").wait_for()
    page.close()


def test_curves_are_drawn_without_and_with_scripts(dashboard: Dashboard, browser: Any) -> None:
    for scripts, drawn in ((False, "figure polyline"), (True, "figure canvas")):
        context = browser.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.goto(f"{dashboard.url}/night?id=run-2")
        page.locator(drawn).first.wait_for()
        context.close()


def test_the_diff_leads_from_one_answer_to_the_other() -> None:
    pieces = word_diff("The **sum** is 12.", "The sum is 13.")
    assert "".join(p.text for p in pieces if p.mark != "added") == "The **sum** is 12."
    assert "".join(p.text for p in pieces if p.mark != "removed") == "The sum is 13."


def test_a_long_curve_is_thinned_to_its_end() -> None:
    found = line("loss", range(5_000), [float(n) for n in range(5_000)])
    assert len(found["x"]) <= MOST_POINTS
    assert found["last"] == 4_999


def test_of_marks_whose_names_would_touch_the_later_keeps_its_own() -> None:
    marks = [(0.0, "v1"), (50.0, "v10"), (51.0, "v11"), (100.0, "v20\u2013v26"), (101.0, "v27")]
    found = line("all", [0.0, 100.0], [1.0, 2.0], marks)["marks"]
    assert [mark["text"] for mark in found] == ["v1", "v10", "v11", "v20\u2013v26"]
    assert [mark["text"] for mark in found if mark["name_x"] is not None] == [
        "v1",
        "v11",
        "v20\u2013v26",
    ]
    assert 0 < found[0]["name_x"] < found[2]["name_x"] < found[3]["name_x"] < WIDTH


def test_what_a_run_notes_of_its_course_is_no_changed_setting() -> None:
    before, after = ({"reached": n, "seconds_spent": float(n), "resumes": n} for n in (1, 2))
    assert changes(before, after) == []


def test_secrets_are_no_change_that_is_shown() -> None:
    before, after = ({"server": {"token": token, "port": 1}} for token in ("one", "two"))
    assert changes(before, after) == []


def test_weeks_begin_on_monday() -> None:
    assert week_of("2026-11-25T03:00:00") == "2026-11-23"
    assert by_week({"2026-11-23": 1, "2026-11-29": 2, "2026-11-30": 4})["2026-11-23"] == 3


def test_the_trend_compares_the_first_weeks_with_the_last() -> None:
    rows = [{"each": n / 4, "corrections": n, "conversations": 4} for n in (8, 4, 2, 1)]
    assert sentence(rows) == (
        "You corrected 1.50 times a conversation in the first 2 weeks, 0.38 times in the last."
    )


def test_a_gate_is_passed_unless_something_at_it_was_bad() -> None:
    def measure(gate: str, outcome: Any) -> dict[str, Any]:
        return Measure(gate, gate, gate, {"base": 1.0}, "base", 3, outcome=outcome).to_dict()

    verdict = {
        "verdict": "reject",
        "measures": [
            measure("own", "good"),
            measure("ability", "fine"),
            measure("ability", "bad"),
            measure("drift", "unmeasured"),
        ],
    }
    assert gates_of(verdict) == (1, 2)
    assert len(table_of(verdict)["rows"]) == 3


def test_an_answer_written_anew_is_what_the_night_learns_from(
    client: Any, dashboard: Dashboard
) -> None:
    with Store.open(dashboard.service.home.database) as store:
        turn = next(t for t in store.turns.list() if t.answer and t.main)
    assert post(client, "answer-edit", turn=turn.id, text="As it should be.").status_code == 303
    with Store.open(dashboard.service.home.database) as store:
        found = store.feedback.for_turn(turn.id)[-1]
    assert (found.kind, found.text) == ("edit", "As it should be.")
    page = client.get("/conversation", params={"id": turn.conversation_id}).text
    assert "you wrote it anew" in page and "Write it anew" in page

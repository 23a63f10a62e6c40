"""A person's morning in a real Chromium: with scripts and without, in light and in dark."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from furnished import QUERIES, Dashboard, say

from align_agent.adapters.registry import Registry
from align_agent.records import Feedback, Rule
from align_agent.web.app import PAGES

SCRIPT = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>"
HOSTILE = f'{SCRIPT}" onmouseover="window.hit=3" {{{{7*7}}}} javascript:window.hit=4 \u202e'


@pytest.fixture(scope="module")
def hostile(dashboards: Any) -> Dashboard:
    """A home in which everything that can be said is an attack."""
    found: Dashboard = dashboards(extra=[Rule(HOSTILE, "active"), Rule(f"b{HOSTILE}", "proposed")])
    with found.store() as store:
        say(store, f"session {HOSTILE}", HOSTILE, HOSTILE, channel=HOSTILE)
        say(store, f"session {HOSTILE}", f"No bold, please. {HOSTILE}", HOSTILE, channel=HOSTILE)
        store.runs.add_sample("run-2", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
        Registry(store, found.service.home).hold(HOSTILE)
    return found


def addresses(dashboard: Dashboard) -> list[str]:
    """Every page but the doctor's, which takes seconds; those that show one thing show the
    latest."""
    with dashboard.store() as store:
        turn = store.turns.latest()
    assert turn is not None
    query = {**QUERIES, "/conversation": {"id": turn.conversation_id}}
    return [
        str(httpx.URL(dashboard.url + page.path, params=query.get(page.path)))
        for page in PAGES
        if page.path != "/doctor"
    ]


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    context = browser.new_context(java_script_enabled=request.param)
    yield context.new_page()
    context.close()


def served(dashboard: Dashboard) -> str:
    body = {"model": "align", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    answer = httpx.post(f"{dashboard.url}/v1/chat/completions", json=body, timeout=60)
    return str(answer.raise_for_status().json()["model"])


def test_the_morning_says_what_serves_and_why(dashboard: Dashboard, page: Any) -> None:
    page.goto(dashboard.url)
    sentence = page.locator("h1").inner_text()
    assert re.match(r"v2 serves since \d\d:\d\d: learned from 2 turns, \d rules?, ", sentence)
    assert page.get_by_role("cell", name="9/10").count() == 3


def test_a_rule_is_accepted_with_a_click(dashboard: Dashboard, page: Any) -> None:
    with dashboard.store() as store:
        (rule,) = [r for r in store.rules.list() if r.text == "Always greet me by my name."]
        store.rules.update(rule.id, status="proposed")
    page.goto(f"{dashboard.url}/rules")
    page.locator("article", has_text=rule.text).get_by_role("button", name="Accept").click()
    page.get_by_role("status").wait_for()
    with dashboard.store() as store:
        assert store.rules.get(rule.id).status == "active"


def test_a_turn_is_excluded_with_a_click(dashboard: Dashboard, page: Any) -> None:
    with dashboard.store() as store:
        turn = store.turns.list(search="hexagon")[0]
        store.turns.exclude(turn.id, False)
    page.goto(f"{dashboard.url}/conversations")
    page.get_by_role("link", name="What is a hexagon?").click()
    page.locator(f"#{turn.id}").get_by_role("button", name="Never learn from it").click()
    page.get_by_role("status").wait_for()
    with dashboard.store() as store:
        assert store.turns.get(turn.id).excluded


def test_after_a_rollback_the_next_answer_comes_from_the_older_version(
    dashboard: Dashboard, page: Any
) -> None:
    before = served(dashboard)
    page.goto(dashboard.url)
    button = page.get_by_role("button", name="Roll back")
    older = button.inner_text().removeprefix("Roll back to ")
    button.click()
    assert f"{older} serves again" in page.get_by_role("status").inner_text()
    assert before != served(dashboard) == f"align@{older}"
    page.goto(dashboard.url)
    assert page.get_by_role("button", name="Roll back").count() == 0
    with dashboard.store() as store:
        registry = Registry(store, dashboard.service.home)
        registry.promote(registry.resolve("previous"), why="as before")


def test_a_reading_that_was_wrong_is_corrected(dashboard: Dashboard, page: Any) -> None:
    with dashboard.store() as store:
        turn = store.turns.list(search="cups")[0]
        for opinion in store.feedback.for_turn(turn.id):
            store.feedback.dismiss(opinion.id, opinion.kind == "rating")
    page.goto(str(httpx.URL(f"{dashboard.url}/conversation", params={"id": "chat-1"})))
    page.locator(f"#{turn.id}").get_by_role("button", name="I did not mean that").click()
    page.get_by_role("status").wait_for()
    page.locator(f"#{turn.id}").get_by_role("button", name="Good answer").click()
    page.get_by_role("status").wait_for()
    with dashboard.store() as store:
        counted = [f for f in store.feedback.for_turn(turn.id) if not f.dismissed]
    assert [(f.kind, f.polarity) for f in counted] == [("rating", "positive")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_trend_marks_the_versions_in_the_chart_and_in_the_table(
    dashboard: Dashboard, browser: Any, scheme: Any, scripts: bool
) -> None:
    context = browser.new_context(
        java_script_enabled=scripts, color_scheme=scheme, viewport={"width": 360, "height": 740}
    )
    page = context.new_page()
    page.goto(f"{dashboard.url}/trend")
    figure = page.locator("figure.chart").first
    if scripts:
        # The attention colour, which nothing else in the chart has, above the plot and in it.
        rows = figure.locator("canvas").evaluate(
            """(canvas) => {
              const dye = getComputedStyle(canvas).getPropertyValue("--attention").trim();
              const wanted = [1, 3, 5].map((at) => parseInt(dye.slice(at, at + 2), 16));
              const { width, height } = canvas, rows = [];
              const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              const dyed = (at) => data[at + 3] > 200
                && wanted.every((value, i) => Math.abs(value - data[at + i]) < 9);
              for (let y = 0; y < height; y++) {
                for (let x = 0; x < width; x++) {
                  if (dyed(4 * (y * width + x))) { rows.push(y); break; }
                }
              }
              return rows;
            }"""
        )
        assert rows[0] < 20 < 100 < rows[-1]
        assert figure.locator("svg").count() == 0
        assert "v1, v2" in str(figure.locator("canvas").get_attribute("aria-label"))
    else:
        name = figure.locator("text.mark-name")
        assert name.text_content() == "v1, v2"
        assert name.bounding_box()["x"] + name.bounding_box()["width"] <= 360
    assert page.get_by_role("row").filter(has_text="v1, v2").count() == 1
    context.close()


def test_a_reading_that_waits_is_shown_and_confirmed(dashboard: Dashboard, page: Any) -> None:
    doubtful = Feedback(
        "turn-5", "follow_up", "negative", "format", 0.5, "No lists, please?", "test",
        layers={"words": 0.1, "lexicon": 0.9}, review="the layers contradict each other",
    )  # fmt: skip
    with dashboard.store() as store:
        store.feedback.add(doubtful)
    page.goto(f"{dashboard.url}/conversations")
    page.get_by_role("link", name="No lists, please?").click()
    page.get_by_text("the layers contradict each other").wait_for()
    page.get_by_role("button", name="I meant that").click()
    page.get_by_role("status").wait_for()
    with dashboard.store() as store:
        assert store.feedback.get(doubtful.id).review == ""
        assert not store.feedback.to_review()
        store.feedback.dismiss(doubtful.id)


def test_typing_into_the_search_finds_while_typing(dashboard: Dashboard, browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"{dashboard.url}/conversations")
    page.get_by_role("searchbox").press_sequentially("hexag")
    page.get_by_text("1 turn with hexag").wait_for()
    assert page.url.endswith("q=hexag")
    page.close()


def test_nothing_that_was_said_runs_as_a_script(hostile: Dashboard, browser: Any) -> None:
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for address in addresses(hostile):
        page.goto(address)
        assert page.evaluate("window.hit") is None, address
        assert page.locator("img[src=x]").count() == 0, address
        assert "49" not in page.locator("main").inner_text(), address
    assert not problems
    page.close()


@pytest.fixture
def elsewhere(dashboard: Dashboard) -> Iterator[str]:
    """Another site's page, whose button posts to the dashboard."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            form = f'<form method="post" action="{dashboard.url}/do/rollback"><button>Win</button>'
            self.wfile.write(form.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_another_sites_form_changes_nothing(
    dashboard: Dashboard, browser: Any, elsewhere: str
) -> None:
    before = served(dashboard)
    page = browser.new_page()
    page.goto(dashboard.url)  # the browser has a session
    page.goto(elsewhere)
    page.get_by_role("button").click()
    page.get_by_text("not in server.allowed_origins").wait_for()
    assert served(dashboard) == before
    page.close()


# Light and dark differ in their colours alone.
@pytest.mark.parametrize(
    ("scheme", "run"), [("light", "axe.run()"), ("dark", "axe.run({runOnly: ['color-contrast']})")]
)
def test_axe_finds_nothing_serious(
    dashboard: Dashboard, browser: Any, axe: str, scheme: Any, run: str
) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    for address in [*addresses(dashboard), f"{dashboard.url}/sign-in"]:
        page.goto(address)
        page.evaluate(axe)
        found = page.evaluate(run)
        told = [
            (problem["id"], problem["nodes"][0]["html"])
            for problem in found["violations"]
            if problem["impact"] in ("serious", "critical")
        ]
        assert not told, address
    context.close()


def test_no_page_is_wider_than_a_phone(dashboard: Dashboard, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    for address in addresses(dashboard):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    context.close()


def test_the_keyboard_reaches_every_button(dashboard: Dashboard, browser: Any) -> None:
    page = browser.new_page()
    page.goto(dashboard.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    buttons = set(page.get_by_role("button").all_inner_texts())
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.innerText"))
    assert buttons and buttons <= reached
    page.close()

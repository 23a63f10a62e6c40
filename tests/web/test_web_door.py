"""The dashboard over plain HTTP: twins, access, forms that are not ours, files that came along."""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from furnished import QUERIES, Dashboard

from align_agent.adapters.registry import Registry
from align_agent.cli import main
from align_agent.paths import Home
from align_agent.server.sessions import Sessions
from align_agent.web.app import PAGES, STATIC
from align_agent.web.guard import local

VENDORED = [STATIC / "vendor", Path(__file__).parent / "vendor"]


@pytest.fixture
def client(dashboard: Dashboard) -> Any:
    with httpx.Client(base_url=dashboard.url, timeout=60) as found:
        yield found


@pytest.fixture(scope="module")
def locked(dashboards: Any) -> Dashboard:
    found: Dashboard = dashboards(token="secret")
    return found


def token_of(client: Any) -> str:
    found = re.search(r'name="form_token" value="(\w+)"', client.get("/morning").text)
    assert found
    return found[1]


def query(page: Any) -> dict[str, str]:
    return QUERIES.get(page.path, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_page_has_a_twin_in_json(client: Any, page: Any) -> None:
    html = client.get(page.path, params=query(page))
    twin = client.get(f"{page.path}.json", params=query(page))
    assert html.status_code == twin.status_code == 200
    assert isinstance(twin.json(), dict)
    assert f"{page.path}.json" in html.text


def test_the_api_tells_the_credit_of_an_answer_as_the_twin_does(client: Any) -> None:
    shown = client.get("/credit.json", params={"turn": "turn-0"}).json()
    told = client.get("/v1/align/why", params={"turn": "turn-0", "credit": 1}).json()["credit"]
    assert told == {
        name: shown[name]
        if name != "tokens"
        else [{part: token[part] for part in told["tokens"][0]} for token in shown["tokens"]]
        for name in told
    }
    assert told["tokens"] and told["feedback"]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.path != "/doctor"], ids=lambda page: page.path
)
def test_no_page_allows_a_script_or_a_style_of_its_own(client: Any, page: Any) -> None:
    answer = client.get(page.path, params=query(page))
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style| style=| on\w+=", answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/conversation?id=none",
        "/conversations?rule=none",
        "/conversations?version=x",
        "/night?id=none",
        "/compare?a=v99",
        "/trial?id=none",
    ],
)
def test_what_is_not_there_is_told_on_a_page(client: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "<h1>" in answer.text
    first, _, rest = path.partition("?")
    assert client.get(f"{first}.json?{rest}").json()["error"]


@pytest.mark.parametrize("form_token", ["", "wrong"])
def test_a_form_without_the_sessions_word_changes_nothing(client: Any, form_token: str) -> None:
    before = client.get("/morning.json").json()
    answer = client.post("/do/rollback", data={"form_token": form_token})
    assert answer.status_code == 403
    assert client.get("/morning.json").json() == before


def test_a_second_rollback_is_refused_with_the_way_forward(
    dashboard: Dashboard, client: Any
) -> None:
    form = {"form_token": token_of(client)}
    client.post("/do/rollback", data=form)
    answer = client.post("/do/rollback", data=form)
    with dashboard.store() as store:
        registry = Registry(store, dashboard.service.home)
        registry.promote(registry.resolve("previous"), why="as before")
    assert answer.status_code == 400
    assert "already rolled back" in answer.text and "adapters promote" in answer.text


def test_another_sessions_word_is_refused(dashboard: Dashboard, client: Any) -> None:
    with httpx.Client(base_url=dashboard.url) as other:
        stolen = token_of(other)
    token_of(client)
    assert client.post("/do/hold", data={"form_token": stolen}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_page_is_refused(client: Any, headers: dict[str, str]) -> None:
    fields = {"form_token": token_of(client)}
    assert client.post("/do/hold", data=fields, headers=headers).status_code == 403


def test_forms_work_behind_a_proxy_that_speaks_tls(client: Any) -> None:
    fields = {"form_token": token_of(client)}
    origin = f"https://{client.base_url.netloc.decode()}"
    answer = client.post("/do/release", data=fields, headers={"origin": origin})
    assert answer.status_code == 303


def test_a_foreign_host_sees_no_page(client: Any) -> None:
    assert client.get("/morning", headers={"host": "evil.example"}).status_code == 421


def test_json_is_no_form(client: Any) -> None:
    fields = {"form_token": token_of(client)}
    assert client.post("/do/hold", json=fields).status_code == 400


def test_an_action_leads_back_and_tells_once_what_it_did(client: Any) -> None:
    fields = {"form_token": token_of(client), "back": "/rules?x=1"}
    answer = client.post("/do/hold", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules?x=1")
    assert "Held: nights promote nothing" in client.get("/rules").text
    assert "Held: nights promote nothing" not in client.get("/rules").text
    assert client.get("/morning.json").json()["held"]
    client.post("/do/release", data=fields)


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "", "rules", "/a\nb"]
)
def test_nobody_is_led_to_another_site(place: str) -> None:
    assert local(place) == "/morning"


def test_the_token_is_asked_for_and_trades_for_a_session(locked: Dashboard) -> None:
    browser = {"accept": "text/html"}
    with httpx.Client(base_url=locked.url, headers=browser, follow_redirects=True) as client:
        asked = client.get("/conversations?q=cups")
        assert asked.url.path == "/sign-in"
        wrong = client.post("/sign-in", data={"token": "guess", "back": "/rules"})
        assert wrong.status_code == 401
        right = client.post("/sign-in", data={"token": "secret", "back": "/conversations?q=cups"})
        assert (right.url.path, right.status_code) == ("/conversations", 200)
        assert client.get("/v1/models").status_code == 401  # a cookie is for pages alone
        assert client.post("/do/hold", data={"form_token": token_of(client)}).status_code == 200


def test_a_program_comes_in_with_the_token_alone(locked: Dashboard) -> None:
    headers = {"authorization": "Bearer secret"}
    assert httpx.get(f"{locked.url}/morning.json", headers=headers).status_code == 200
    assert httpx.get(f"{locked.url}/morning.json").status_code == 401


def test_a_ticket_opens_for_a_minute(locked: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions.of(locked.service.home, "secret")
    ticket = sessions.ticket()
    answer = httpx.get(f"{locked.url}/sign-in", params={"ticket": ticket, "back": "/rules"})
    assert answer.headers["location"] == "/rules"
    assert not Sessions.of(locked.service.home, "another").redeems(ticket)
    now = int(ticket.partition(".")[0])
    monkeypatch.setattr("align_agent.server.sessions.time.time", lambda: now + 1)
    assert not sessions.redeems(ticket)


def test_the_command_line_opens_the_door_by_itself(
    locked: Dashboard, capsys: pytest.CaptureFixture[str]
) -> None:
    home, port = locked.service.home, locked.url.rpartition(":")[2]
    home.config.write_text("server:\n  token: secret\n")
    command = ["--home", str(home.root), "dashboard", "--no-open", "--port", port]
    assert main(command) == 0
    with httpx.Client(follow_redirects=True) as client:
        assert client.get(capsys.readouterr().out.strip()).url.path == "/morning"
    assert main([*command[:-1], "1"]) == 1
    assert "align-agent serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other", ['theme={"a": 1}', "seen=Mon, 1 Jan", "list[]=1", "alone", "name=Jürgen", "a=b=c"]
)
def test_cookies_of_other_programs_on_this_machine_close_no_door(
    locked: Dashboard, other: str
) -> None:
    cookie = f"align_session={Sessions.of(locked.service.home, 'secret').issue()}"
    for sent in (f"{other}; {cookie}", f"{cookie}; {other}"):
        answer = httpx.get(f"{locked.url}/rules.json", headers={"cookie": sent.encode()})
        assert answer.status_code == 200, sent


def test_a_key_that_a_crash_left_empty_is_made_anew(tmp_path: Path) -> None:
    home = Home(tmp_path).ensure()
    key = home.root / "dashboard.key"
    key.touch()
    sessions = Sessions.of(home, "")
    assert len(key.read_bytes()) >= 32 and key.stat().st_mode & 0o777 == 0o600
    assert not Sessions(b"", "").valid(sessions.issue())
    assert Sessions.of(home, "").valid(sessions.issue()), "the next one knows it"


def test_all_who_need_the_key_at_once_have_the_same(tmp_path: Path) -> None:
    home = Home(tmp_path).ensure()
    with ThreadPoolExecutor(8) as crew:
        made = list(crew.map(lambda _: Sessions.of(home, ""), range(16)))
    assert all(one.valid(made[0].issue()) for one in made)
    assert [path.name for path in home.root.glob("*dashboard*")] == ["dashboard.key"]


@pytest.mark.parametrize("cookie", ["", "x", "x.y", "x.", ".", "ä.ö", "a" * 5000])
def test_no_made_up_cookie_opens(locked: Dashboard, cookie: str) -> None:
    assert not Sessions.of(locked.service.home, "secret").valid(cookie)


@pytest.mark.parametrize("name", ["app.css", "vendor/htmx.min.js"])
def test_files_may_be_kept_by_their_content(client: Any, name: str) -> None:
    (found,) = set(re.findall(rf"/static/{name}\?v=\w+", client.get("/morning").text))
    assert "immutable" in client.get(found).headers["cache-control"]


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "nothing.js", ""])
def test_no_other_file_is_handed_out(client: Any, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("folder", VENDORED, ids=["dashboard", "tests"])
def test_what_came_from_elsewhere_is_unchanged_and_licensed(folder: Path) -> None:
    listed = json.loads((folder / "VENDORED.json").read_text("utf-8"))
    named = {"VENDORED.json"}
    for package in listed:
        assert package["integrity"].startswith("sha512-") and package["licence"]
        assert any(name.endswith("LICENSE") for name in package["files"])
        for name, digest in package["files"].items():
            named.add(name)
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert named == {path.name for path in folder.iterdir()}

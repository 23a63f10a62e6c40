"""Who may knock at the server's door."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from align_agent.cli.serve import check_reach
from align_agent.config import ServerConfig
from align_agent.errors import ConfigError

FOREIGN = ("evil.example", "127.0.0.1.evil.example", "", "[::ffff:1]", "[::1")


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused(server: Any, host: str) -> None:
    assert httpx.get(f"{server.url}/v1/models", headers={"host": host}).status_code in (400, 421)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/align/rate", "/v1/align/rollback"])
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "file://", "http://[x", "http://localhost:3000",
     "http://127.0.0.1", "http://127.0.0.1:1"],
)  # fmt: skip
def test_a_page_from_elsewhere_is_refused(server: Any, path: str, origin: str) -> None:
    answer = httpx.post(f"{server.url}{path}", json={}, headers={"origin": origin})
    assert answer.status_code == 403


def test_a_page_of_the_servers_own_may_ask(server: Any) -> None:
    headers = {"origin": server.url}
    assert httpx.get(f"{server.url}/v1/models", headers=headers).status_code == 200


def test_an_allowed_page_may_ask_and_read_with_a_token_too(serve: Any) -> None:
    page = "http://localhost:3000"
    server = serve(token="secret", allowed_origins=(page,))
    url = f"{server.url}/v1/models"
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "x-api-key"}
    first = httpx.options(url, headers={"origin": page, **asked})
    answer = httpx.get(url, headers={"origin": page, "x-api-key": "secret"})
    assert (first.status_code, answer.status_code) == (200, 200)
    assert "x-api-key" in first.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == page
    assert httpx.get(url, headers={"origin": page}).status_code == 401


def test_no_other_page_may_ask_where_one_is_allowed(serve: Any) -> None:
    server = serve(allowed_origins=("http://localhost:3000",))
    url, other = f"{server.url}/v1/models", {"origin": "http://localhost:3001"}
    asked = {"access-control-request-method": "GET"}
    assert httpx.get(url, headers=other).status_code == 403
    assert "access-control-allow-origin" not in httpx.options(url, headers=other | asked).headers


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"authorization": "secret"}],
)
def test_without_the_token_nothing_is_answered(serve: Any, headers: dict[str, str]) -> None:
    server = serve(token="secret")
    assert httpx.get(f"{server.url}/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize("headers", [{"authorization": "Bearer secret"}, {"x-api-key": "secret"}])
def test_the_token_opens(serve: Any, headers: dict[str, str]) -> None:
    server = serve(token="secret")
    assert httpx.get(f"{server.url}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_refused(serve: Any, chunked: bool) -> None:
    server = serve(max_body_mb=1)
    body = b'{"x": "' + b"a" * 2 * 2**20 + b'"}'
    content: Any = (body[i : i + 65536] for i in range(0, len(body), 65536)) if chunked else body
    answer = httpx.post(
        f"{server.url}/v1/chat/completions",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 413
    assert "server.max_body_mb" in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "my-pc"])
def test_a_reachable_address_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.token"):
        check_reach(host, ServerConfig())
    check_reach(host, ServerConfig(token="secret"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_loopback_needs_none(host: str) -> None:
    check_reach(host, ServerConfig())

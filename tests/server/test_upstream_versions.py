"""A promotion reaches an upstream by its own means: loaded by name, or chosen by a field."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback import Handler, Loopback

from align_agent.adapters.registry import Registry
from align_agent.config import UpstreamConfig
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.server.warm import keep_warm
from align_agent.store import Store

HELLO: Any = [{"role": "user", "content": "Hello!"}]


class Adapters(Loopback):
    """Answers with the name that it was asked by, and keeps adapters as vLLM and SGLang do."""

    def __init__(self, prefix: str = "") -> None:
        self.there: dict[str, str] = {}
        self.prefix = prefix
        self.hold = threading.Event()
        self.hold.set()
        super().__init__(self.told)

    def told(self, asked: Handler) -> None:
        path, body = asked.path.removeprefix("/v1"), asked.body
        if path == "/load_lora_adapter":
            if body["lora_name"] in self.there:
                asked.tell(400, {"error": {"message": "The lora adapter has already been loaded."}})
                return
            self.there[body["lora_name"]] = body["lora_path"]
            asked.tell(200, "Success")
        elif path == "/unload_lora_adapter":
            del self.there[body["lora_name"]]
            asked.tell(200, "Success")
        elif body["model"] != "base" and body["model"].removeprefix(self.prefix) not in self.there:
            asked.tell(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
        else:
            asked.begin()
            self.hold.wait(20)
            asked.event(
                {"choices": [{"delta": {"content": body["model"]}, "finish_reason": "stop"}]}
            )
            asked.end()


class LlamaCpp(Loopback):
    """Answers with the scales that it was asked for."""

    def __init__(self, *files: str) -> None:
        self.files = files
        super().__init__(self.told)

    def told(self, asked: Handler) -> None:
        if asked.path == "/lora-adapters":
            rows = [{"id": n, "path": f, "scale": 1.0} for n, f in enumerate(self.files)]
            asked.tell(200, rows)
        else:
            asked.stream(str(asked.body.get("lora")))


@pytest.fixture
def open_door(serve: Any) -> Iterator[Any]:
    """A door before a server; the home it gets has what `promote` puts there."""
    opened: list[Loopback] = []

    def make(server: Loopback, kind: str, **facts: Any) -> Any:
        opened.append(server)
        settings = {"base_url": server.url, "kind": kind, "model": "base", **facts}
        return serve(upstream=UpstreamConfig(**settings))

    yield make
    for server in opened:
        server.close()


def promote(home: Home, number: int) -> None:
    """What a night does: a new version that is the champion from now on."""
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        folder = home.runs / f"run-{number}" / "adapter"
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(f"weights {number}".encode() * 20)
        (folder / "adapter_config.json").write_text("{}")
        store.runs.create(Run(id=f"run-{number}", status="running"))
        made = registry.register(
            folder, base="b", base_hash="h", run_id=f"run-{number}", verdict="promote"
        )
        registry.promote(made.version, why="better", who="night")


def say(door: Any, model: str = "align", **facts: Any) -> tuple[str, str]:
    """(the answer, the model that is told)."""
    body = {"model": model, "messages": HELLO, **facts}
    answer = httpx.post(f"{door.url}/v1/chat/completions", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    return made["choices"][0]["message"]["content"], made["model"]


def calm(door: Any) -> None:
    """Wait until what follows an answer is done."""
    kind = door.service.backend._kind
    while kind._tasks or any(kind._used.values()):
        threading.Event().wait(0.01)


def test_a_promotion_is_loaded_under_a_name_of_its_own(open_door: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm")
    home = door.service.home
    assert say(door) == ("base", "align@base")
    promote(home, 1)
    said, told = say(door)
    assert told == "align@v1" and said.startswith("align-v0001-")
    assert server.there[said] == str((home.adapters / "v0001").resolve())
    promote(home, 2)
    assert say(door)[0].startswith("align-v0002-")
    assert say(door, "align@v1")[0] == said
    assert say(door, "align@base")[0] == "base"
    assert server.paths().count("/v1/load_lora_adapter") == 2
    with Store.open(home.database) as store:
        Registry(store, home).rollback(why="worse")
    assert say(door) == (said, "align@v1")


def test_the_turn_is_logged_with_the_version_that_answered(open_door: Any) -> None:
    door = open_door(Adapters(), "vllm")
    promote(door.service.home, 1)
    say(door)
    door.service.scribe.flush()
    with Store.open(door.service.home.database) as store:
        (turn,) = store.turns.all_main()
    assert turn.version == 1


def test_the_version_used_least_lately_is_unloaded(open_door: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm", loaded=2)
    for number in (1, 2, 3):
        promote(door.service.home, number)
        say(door)
        calm(door)
    assert sorted(name[:11] for name in server.there) == ["align-v0002", "align-v0003"]
    say(door, "align@v1")  # and loaded again when it is asked for
    calm(door)
    assert sorted(name[:11] for name in server.there) == ["align-v0001", "align-v0003"]


def test_a_version_that_still_answers_is_not_unloaded(open_door: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm", loaded=1)
    promote(door.service.home, 1)
    server.hold.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(say, door)
        while "/v1/chat/completions" not in server.paths():
            threading.Event().wait(0.01)
        promote(door.service.home, 2)
        second = pool.submit(say, door)
        while server.paths().count("/v1/chat/completions") < 2:
            threading.Event().wait(0.01)
        assert len(server.there) == 2
        server.hold.set()
        assert first.result()[1] == "align@v1" and second.result()[1] == "align@v2"
    calm(door)
    assert [name[:11] for name in server.there] == ["align-v0002"]


def test_many_first_requests_load_a_version_once(open_door: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm")
    promote(door.service.home, 1)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: say(door), range(8)))) == 1
    assert server.paths().count("/v1/load_lora_adapter") == 1


def test_an_upstream_that_was_started_anew_gets_its_version_again(open_door: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm")
    promote(door.service.home, 1)
    before = say(door)
    server.there.clear()
    assert say(door) == before


def test_what_an_earlier_run_loaded_is_used(open_door: Any, serve: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm")
    promote(door.service.home, 1)
    before = say(door)
    door.service.backend._kind._names.clear()  # as after a restart of the door
    assert say(door) == before


def test_a_version_that_cannot_be_loaded_says_why_and_how_to_mend_it(open_door: Any) -> None:
    server = Adapters()
    server.answer = lambda asked: asked.tell(404, {"detail": "Not Found"})
    door = open_door(server, "vllm")
    promote(door.service.home, 1)
    body = {"messages": HELLO}
    answer = httpx.post(f"{door.url}/v1/chat/completions", json=body, timeout=30)
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "Not Found" in message and "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in message


def test_another_view_of_the_folders_is_told(open_door: Any) -> None:
    server = Adapters()
    door = open_door(server, "vllm", adapters="/mnt/adapters/")
    promote(door.service.home, 1)
    said, _ = say(door)
    assert server.there[said] == "/mnt/adapters/v0001"


def test_sglang_has_its_own_addresses_and_names(open_door: Any) -> None:
    server = Adapters(prefix="base:")
    door = open_door(server, "sglang")
    promote(door.service.home, 1)
    said, _ = say(door)
    assert said.startswith("base:align-v0001-")
    assert "/load_lora_adapter" in server.paths()


def test_llamacpp_gets_every_scale_with_each_request(open_door: Any) -> None:
    server = LlamaCpp("/models/v0001.gguf", "/models/v0010.gguf", "style.gguf")
    door = open_door(server, "llamacpp")
    promote(door.service.home, 1)
    on = "[{'id': 0, 'scale': 1.0}, {'id': 1, 'scale': 0.0}, {'id': 2, 'scale': 0.0}]"
    assert say(door) == (on, "align@v1")
    assert say(door, "align@base")[0] == on.replace("1.0", "0.0")


def test_a_champion_that_llamacpp_lacks_leaves_the_answer_to_the_base(
    open_door: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep_warm, "__defaults__", (0.001,))  # looking ahead counts as no request
    door = open_door(LlamaCpp("/models/v0010.gguf"), "llamacpp")
    promote(door.service.home, 1)
    assert say(door)[1] == "align@base"
    say(door)
    assert len([r for r in caplog.records if "lacks align@v1" in r.message]) == 1
    assert 'what="fallback"} 2.0' in httpx.get(f"{door.url}/metrics").text
    door.service.scribe.flush()
    with Store.open(door.service.home.database) as store:
        assert store.counters.all()["upstream_fallbacks"] == 2  # `align-agent status` tells it
    asked = {"model": "align@v1", "messages": HELLO}
    refused = httpx.post(f"{door.url}/v1/chat/completions", json=asked)
    assert refused.status_code == 404
    assert "--lora" in refused.json()["error"]["message"]


def test_a_server_without_adapters_answers_as_the_base(open_door: Any, tmp_path: Path) -> None:
    server = Adapters()
    door = open_door(server, "openai")
    promote(door.service.home, 1)
    assert say(door) == ("base", "align@base")
    assert set(server.paths()) == {"/v1/chat/completions"}

"""Steps that are taken under the server's feet: no request fails, and the next one sees them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import httpx

from align_agent.agent import live
from align_agent.distill.hindsight import Shown
from align_agent.models.local import LocalModel
from align_agent.records import Message, Turn
from align_agent.store import Store

ASKED = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 8, "temperature": 0}


def test_no_request_fails_while_steps_are_taken(serve: Any, parrot: LocalModel) -> None:
    door = serve(live=True)
    config = replace(
        door.service.config, model=replace(door.service.config.model, max_new_tokens=8)
    )
    turn = Turn("c", (Message("user", "Hello!"),), (Message("assistant", "No."),), "Hello!", "No.")
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            body = {"model": "align", **ASKED}
            statuses.append(httpx.post(f"{door.url}/v1/chat/completions", json=body).status_code)

    asker = threading.Thread(target=ask)
    asker.start()
    home = door.service.home
    try:
        with Store.open(home.database) as store:
            for _ in range(3):
                step = live.learn(home, config, store, parrot, turn, Shown("Say more."))
    finally:
        over.set()
        asker.join()
    assert len(statuses) > 1 and set(statuses) == {200}
    meant = door.service.versions.desk.submit(door.service.versions.find, "align").result()
    assert meant.adapter == step.folder

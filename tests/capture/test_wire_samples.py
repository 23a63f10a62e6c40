"""Requests as the real OpenClaw sent them, where the captured file is at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from align_agent.capture.wire import read_request, understand
from align_agent.capture.wire.conversations import Conversations
from align_agent.capture.wire.openclaw import CONTEXT_OPEN

FILE = Path(__file__).resolve().parents[3] / "shared" / "openclaw" / "wire-samples.jsonl"
DOORS = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages"}
FID = "agent:main:fid"
# Number of the request -> the human's words and the session; None: no human spoke.
EXPECTED: dict[int, tuple[str, str] | None] = {
    1: ("hi", "agent:main:explicit:t1"),
    2: ("second message number 2", "agent:main:explicit:t1"),
    3: ("second message number 3", "agent:main:explicit:t1"),
    4: ("hello compat", "agent:main:explicit:s-compat"),
    6: ("hello responses", "agent:main:explicit:s-responses"),
    7: ("hello anth", "agent:main:explicit:s-anth"),
    24: ("please USE_TOOL now", "agent:main:explicit:p1"),
    27: ("please USE_TOOL now", "agent:main:explicit:p1"),
    49: ("gateway turn 1", "agent:main:labhttp"),
    60: ("gateway turn 2", "agent:main:labhttp"),
    158: ("hi from telegram", "agent:main:main"),
    178: ("and a follow up", "agent:main:main"),
    188: ("button test", "agent:main:main"),
    204: ("button test", "agent:main:main"),
    290: ("MULTITOOL go", FID),
    297: ("MULTITOOL go", FID),
    321: ("ERR500 now", FID),
    332: ("ERR500 now", FID),
    344: ("last", FID),
    357: ("THINKFIELD please", FID),
    372: ("THINKFIELD again", FID),
    393: None,
    410: ("after compact", FID),
    440: ("after reset", FID),
    456: None,
    521: ("g1", FID),
    531: ("g2", FID),
}


@pytest.fixture(scope="module")
def requests():
    if not FILE.is_file():
        pytest.skip("the captured requests are not here")
    found = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        if sample["path"] not in DOORS:
            continue
        body = sample["body"]
        for key in ("messages", "input", "tools"):
            if key in body:  # the file writes "…[16 items cut]…" where it leaves items out
                body[key] = [item for item in body[key] if isinstance(item, dict)]
        messages, _ = read_request(DOORS[sample["path"]], body)
        found[sample["seq"]] = understand(sample["headers"], body, messages)
    return found


def test_every_request_is_expected(requests):
    assert set(requests) == set(EXPECTED)


@pytest.mark.parametrize("number", EXPECTED)
def test_the_humans_words_and_the_session_are_found(requests, number):
    request, expected = requests[number], EXPECTED[number]
    assert request.channel == "openclaw"
    assert len(request.span_id) == 16
    assert not any(CONTEXT_OPEN in m.content for m in (*request.prompt, *request.since))
    if expected is None:
        assert not request.main
    else:
        assert request.main
        assert (request.user_text, request.session) == expected


def test_side_traffic_has_its_reason(requests):
    assert requests[393].side_reason == "compaction"
    assert requests[456].side_reason == "heartbeat"


def test_reactions_are_read(requests):
    seen = {n: [(r.emoji, r.message) for r in q.reactions] for n, q in requests.items()}
    assert {n: r for n, r in seen.items() if r} == {178: [("👍", "101")], 204: [("👎", "104")]}


def test_tool_steps_and_second_tries_belong_to_one_turn(requests):
    index = Conversations()
    matches = {number: index.match(request) for number, request in requests.items()}
    assert requests[27].continuation
    assert matches[24].turn_id == matches[27].turn_id
    assert matches[321].turn_id == matches[332].turn_id
    distinct = {m.turn_id for m in matches.values()}
    # 290 and 297 are a pair too, although the file cuts the history of the second.
    assert len(distinct) == len(matches) - 3
    assert len({matches[n].conversation_id for n in (290, 410, 440, 521)}) == 1

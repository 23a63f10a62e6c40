"""/v1/align: what a client tells lands on its turn, once, and bad input is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from align_agent.capture.wire.openclaw import CONTEXT_CLOSE, CONTEXT_OPEN
from align_agent.config import PreferencesConfig
from align_agent.records import Turn
from align_agent.server.events import Events
from align_agent.store import Store

KEY = "agent:main:t1"
LINE = f"Runtime: agent=main | session={KEY} | sessionId=s1 | channel=telegram"


def asked(server: Any, *said: str, context: str = "") -> str:
    """One request of OpenClaw with these messages (human, answer, human, ...): the answer's id."""
    messages = [
        {"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(said)
    ]
    messages[0]["content"] = f"[Mon 2026-11-23 12:57 UTC] {said[0]}\n\n{LINE}"
    if context:
        messages.append({"role": "user", "content": f"{CONTEXT_OPEN}\n{context}\n{CONTEXT_CLOSE}"})
    body = {"model": "align", "messages": messages, "max_tokens": 8}
    headers = {"session_id": "s1:0", "x-client-request-id": "s1:0", "x-session-affinity": "s1:0"}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def told(server: Any, **event: Any) -> dict[str, int]:
    return post(server, "events", {"events": [{"session": KEY, **event}]})


def post(server: Any, path: str, body: Any, status: int = 200) -> Any:
    answer = httpx.post(f"{server.url}/v1/align/{path}", json=body, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def answer_event(response: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "answer", "id": f"answer-{number}", "response": response, **more}


def store(server: Any) -> Store:
    server.service.scribe.flush()
    return Store.open(server.service.home.database)


def turns(server: Any) -> list[Turn]:
    with store(server) as found:
        return found.turns.list(newest_first=False)


def feedback(server: Any, turn: Turn) -> list[tuple[str, str, str, bool]]:
    with store(server) as found:
        heard = found.feedback.for_turn(turn.id)
    return [(one.kind, one.polarity, one.text, one.dismissed) for one in heard]


def test_a_rating_by_the_answers_id_lands_on_that_turn(server: Any) -> None:
    first = asked(server, "Hello!")
    asked(server, "Hello!", "Great work, well done!", "And what is 7 times 6?")
    post(server, "rate", {"response": first, "verdict": "down", "why": "too long"})
    one, two = turns(server)
    assert feedback(server, one) == [("rating", "negative", "too long", False)]
    assert feedback(server, two) == []


def test_a_rating_by_session_lands_on_the_last_turn(server: Any) -> None:
    asked(server, "Hello!")
    asked(server, "Hello!", "Great work, well done!", "And what is 7 times 6?")
    post(server, "rate", {"session": KEY, "verdict": "up"})
    one, two = turns(server)
    assert (feedback(server, one), len(feedback(server, two))) == ([], 1)


def test_a_rating_with_an_id_counts_once(server: Any) -> None:
    response = asked(server, "Hello!")
    body = {"response": response, "verdict": "up", "id": "press-0001"}
    assert not post(server, "rate", body)["known"]
    assert post(server, "rate", body)["known"]
    late = {"type": "rating", "id": "press-0001", "response": response, "verdict": "down"}
    assert told(server, **late) == {"accepted": 0, "known": 1, "unmatched": 0}
    (turn,) = turns(server)
    assert [found[1] for found in feedback(server, turn)] == ["positive"]


def test_a_rating_in_a_session_without_answers_says_what_to_do(server: Any) -> None:
    error = post(server, "rate", {"session": "agent:main:none", "verdict": "up"}, 404)["error"]
    assert error["code"] == "not_found"
    assert "align/align" in error["message"]


def test_a_secret_in_a_reason_is_not_stored(server: Any) -> None:
    response = asked(server, "Hello!")
    secret = "sk-proj-" + "a1B2c3D4" * 6
    post(server, "rate", {"response": response, "verdict": "down", "why": f"leaks {secret}"})
    (turn,) = turns(server)
    assert secret not in str(feedback(server, turn))


def test_an_event_told_twice_is_taken_once(server: Any) -> None:
    event = answer_event(asked(server, "Hello!"), trigger="user")
    assert told(server, **event) == {"accepted": 1, "known": 0, "unmatched": 0}
    assert told(server, **event) == {"accepted": 0, "known": 1, "unmatched": 0}


def test_what_an_answers_event_tells_is_kept_with_the_turn(server: Any) -> None:
    tools = [{"call": "call-1", "name": "exec", "exit": 2, "failed": True, "ms": 12.5}]
    response = asked(server, "Hello!")
    told(server, **answer_event(response, trigger="user", channel="telegram", tools=tools))
    (turn,) = turns(server)
    with store(server) as found:
        notes = found.links.notes(turn.id)
    assert notes["surface"] == "telegram"
    assert '"exit": 2' in notes["tool:call-1"]


def test_an_event_about_an_answer_that_is_not_ours_changes_nothing(server: Any) -> None:
    asked(server, "Hello!")
    assert told(server, **answer_event("chatcmpl-elsewhere"))["unmatched"] == 1


def test_a_heartbeats_turn_is_never_trainable_and_is_no_follow_up(server: Any) -> None:
    asked(server, "Hello!")
    response = asked(server, "Hello!", "Great work, well done!", "Too long, keep it short.")
    first, second = turns(server)
    assert second.main
    told(server, **answer_event(response, trigger="heartbeat"))
    first, second = turns(server)
    assert (first.main, second.main) == (True, False)
    assert all(dismissed for *_, dismissed in feedback(server, first))


def test_a_button_rates_its_run_after_others_were_answered(server: Any) -> None:
    first = asked(server, "Hello!")
    told(server, **answer_event(first, run="run-1"))
    asked(server, "Hello!", "Great work, well done!", "And what is 7 times 6?")
    post(server, "rate", {"run": "run-1", "session": KEY, "verdict": "up"})
    one, two = turns(server)
    assert (len(feedback(server, one)), feedback(server, two)) == (1, [])


def reaction(action: str, emoji: str = "👍", message: str = "101") -> str:
    return (
        f'"System: [2026-11-23 13:20:37 UTC] Telegram reaction {action}: {emoji} by Alice (@alice) '
        f'on msg {message}"'
    )


def test_a_reaction_is_feedback_on_the_turn_of_its_message(server: Any) -> None:
    first = asked(server, "Hello!")
    told(server, **answer_event(first, run="run-1"))
    sent = {"type": "sent", "id": "sent-0001", "channel": "telegram", "message": "101"}
    assert told(server, **sent, run="run-1")["unmatched"] == 0
    history = ("Hello!", "Great work, well done!")
    asked(server, *history, "And what is 7 times 6?", context=reaction("added", "👎"))
    asked(server, *history, "And 8 times 6?", context=reaction("added", "👎"))
    one, *others = turns(server)
    assert feedback(server, one) == [("reaction", "negative", "👎", False)]
    assert all(feedback(server, other) == [] for other in others)


def test_a_reaction_taken_off_counts_no_more(server: Any) -> None:
    told(server, **answer_event(asked(server, "Hello!"), run="run-1"))
    told(server, type="sent", id="sent-0001", channel="telegram", message="101", run="run-1")
    history = ("Hello!", "Great work, well done!")
    asked(server, *history, "And what is 7 times 6?", context=reaction("added"))
    asked(server, *history, "And 8 times 6?", context=reaction("removed"))
    assert feedback(server, turns(server)[0]) == [("reaction", "positive", "👍", True)]


def test_a_message_without_a_run_is_the_turn_that_says_it(server: Any) -> None:
    asked(server, "Hello!")
    (turn,) = turns(server)
    sent = {"type": "sent", "channel": "telegram", "message": "7"}
    assert told(server, id="sent-0001", **sent, text=turn.answer)["unmatched"] == 0
    assert told(server, id="sent-0002", **sent, text="Something else.")["unmatched"] == 1
    rating = {"session": KEY, "channel": "Telegram", "message": "7", "verdict": "up"}
    assert post(server, "rate", rating)["turn"] == turn.id


def test_an_answer_asked_for_again_is_a_retry(server: Any) -> None:
    asked(server, "Hello, how are you?")
    asked(server, "Hello, how are you?")
    (turn,) = turns(server)
    assert [found[:2] for found in feedback(server, turn)] == [("retry", "negative")]


def test_forgetting_takes_the_turn_out_of_every_file_while_the_server_runs(server: Any) -> None:
    response = asked(server, "Hello, my dog is called Zanzibarius!")
    post(server, "rate", {"response": response, "verdict": "down"})
    answer = turns(server)[0].answer
    told_back = post(server, "forget", {"session": KEY})
    assert told_back["forgotten"] and told_back["tainted"] == []
    assert turns(server) == []
    files = [path for path in server.service.home.root.rglob("*") if path.is_file()]
    assert not [path.name for path in files if b"zanzibarius" in path.read_bytes().lower()]
    # The client's own history still holds it, and sends it along with the next message.
    asked(server, "Hello, my dog is called Zanzibarius!", answer, "And what is 2 plus 2?")
    (turn,) = turns(server)
    assert "Zanzibarius" not in str(turn.prompt)


def spoke(sender: str, text: str) -> str:
    info = json.dumps({"sender": {"id": sender, "name": "Somebody"}})
    return f"Conversation info: ⟦openclaw:ctx⟧\n```json\n{info}\n```\n{text}"


def owned(server: Any) -> None:
    """From now on the owner is 777 on Telegram."""
    feedback = replace(server.service.config.feedback, owners=("telegram:777",))
    server.service.config = replace(server.service.config, feedback=feedback)


def strangers(server: Any) -> int:
    with store(server) as found:
        return found.counters.all().get("feedback.strangers", 0)


@pytest.mark.parametrize("sender", ["666", "telegram:666", "signal:777"])
def test_a_strangers_rating_is_refused_with_the_way_out(server: Any, sender: str) -> None:
    owned(server)
    response = asked(server, "Hello!")
    by = {"verdict": "down", "why": "too long", "id": "press-0001", "channel": "telegram"}
    error = post(server, "rate", {"response": response, **by, "sender": sender}, 403)["error"]
    assert (error["code"], "feedback.owners" in error["message"]) == ("not_owner", True)
    (turn,) = turns(server)
    assert feedback(server, turn) == []
    assert strangers(server) == 1
    # The same press, by the owner: the refused one did not use its id up.
    post(server, "rate", {"response": response, **by, "sender": "777"})
    assert feedback(server, turn) == [("rating", "negative", "too long", False)]


def test_a_strangers_kept_rating_is_taken_and_does_not_count(server: Any) -> None:
    owned(server)
    response = asked(server, "Hello!")
    event = {"type": "rating", "response": response, "verdict": "down", "channel": "telegram"}
    taken = told(server, **event, id="press-0001", sender="666")
    assert taken == {"accepted": 1, "known": 0, "unmatched": 0}
    (turn,) = turns(server)
    assert feedback(server, turn) == []
    told(server, **event, id="press-0002", sender="777")
    assert len(feedback(server, turn)) == 1


def two_speakers(server: Any) -> str:
    """A conversation in which 777 and then 666 spoke: the id of the last answer."""
    asked(server, spoke("777", "Hello!"))
    (first,) = turns(server)
    return asked(server, spoke("777", "Hello!"), first.answer, spoke("666", "What is 2 plus 2?"))


@pytest.mark.parametrize("sender", ["", "666", "777"])
def test_without_a_list_nobodys_rating_counts_where_several_speak(server: Any, sender: str) -> None:
    response = two_speakers(server)
    by = {"sender": sender, "channel": "telegram"}
    post(server, "rate", {"response": response, "verdict": "down", **by}, 403)
    assert all(feedback(server, turn) == [] for turn in turns(server))


def test_without_a_list_the_only_speakers_rating_counts_and_no_other(server: Any) -> None:
    response = asked(server, spoke("777", "Hello!"))
    rated = {"response": response, "verdict": "down", "channel": "telegram"}
    post(server, "rate", {**rated, "sender": "666"}, 403)
    post(server, "rate", {**rated, "sender": "777"})
    (turn,) = turns(server)
    assert len(feedback(server, turn)) == 1


def test_a_reaction_in_a_conversation_of_several_does_not_count(server: Any) -> None:
    asked(server, spoke("777", "Hello!"))
    (first,) = turns(server)
    sent = {"type": "sent", "id": "sent-0001", "channel": "telegram", "message": "101"}
    told(server, **sent, text=first.answer)
    history = (spoke("777", "Hello!"), first.answer)
    asked(server, *history, spoke("666", "What is 2 plus 2?"))
    asked(server, *history, spoke("777", "And 8 times 6?"), context=reaction("added", "👎"))
    assert feedback(server, turns(server)[0]) == []


def test_a_strangers_answer_asked_for_again_is_no_retry(server: Any) -> None:
    asked(server, spoke("777", "Hello, how are you?"))
    asked(server, spoke("666", "Hello, how are you?"))
    assert [feedback(server, turn) for turn in turns(server)] == [[]]


def unnamed(server: Any, *said: str) -> str:
    """One request of OpenClaw that names no session: the answer's text."""
    messages = [
        {"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(said)
    ]
    body = {"model": "align", "messages": messages, "max_tokens": 8}
    headers = {"x-openclaw-agent-id": "main"}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    ("sender", "kinds", "lessons"), [("777", ["edited"], True), ("666", [], False)]
)
def test_a_strangers_edit_of_a_message_is_no_feedback_and_teaches_nothing(
    server: Any, sender: str, kinds: list[str], lessons: bool
) -> None:
    words = "Write a poem about the sea and the wind."
    hello = spoke("777", "Hello!")
    first = unnamed(server, hello)
    unnamed(server, hello, first, spoke("777", words))
    shorter = spoke(sender, words.replace("a poem", "a short poem"))
    second = unnamed(server, hello, first, shorter)
    # Whoever went another way goes on there, and complains.
    unnamed(server, hello, first, shorter, second, spoke(sender, "Too long, keep it short."))
    replaced, edited, complaint = turns(server)[1:]
    assert edited.conversation_id == complaint.conversation_id != replaced.conversation_id
    assert [kind for kind, *_ in feedback(server, replaced)] == kinds
    assert bool(feedback(server, edited)) == lessons
    with store(server) as found:
        assert bool(found.rules.list()) == lessons
        strange = found.links.noted("stranger")
        assert {edited.id, complaint.id} & strange == (
            set() if lessons else {edited.id, complaint.id}
        )


def test_the_words_of_a_second_speaker_of_a_channel_are_no_feedback(server: Any) -> None:
    asked(server, spoke("777", "Hello!"))
    (first,) = turns(server)
    complaint = spoke("666", "No bold and no lists, please.")
    asked(server, spoke("777", "Hello!"), first.answer, complaint)
    with store(server) as found:
        assert [turn.user_text for turn in found.turns.list()][:1] == [
            "No bold and no lists, please."
        ]
        assert found.feedback.list() == []
        assert found.rules.list() == []


def test_declared_rules_stand_in_the_prompts_of_other_programs_if_wished(server: Any) -> None:
    rules = PreferencesConfig(rules=("Be kind.",), at_the_door=True)
    server.service.config = replace(server.service.config, preferences=rules)
    asked(server, "Hello!")
    (turn,) = turns(server)
    assert turn.prompt[0].role == "system"
    assert "- Be kind." in turn.prompt[0].content
    assert turn.user_text == "Hello!"


def test_why_tells_of_the_turn_and_of_the_rules(server: Any) -> None:
    asked(server, "Hello!")
    asked(server, "Hello!", "Great work, well done!", "Too long, keep it short.")
    server.service.scribe.flush()
    data = httpx.get(f"{server.url}/v1/align/why", params={"session": KEY}, timeout=60).json()
    assert data["serving"] == data["turn"]["version"] == "base"
    assert data["turn"]["user"] == "Too long, keep it short."
    assert any("short" in rule["text"] for rule in data["rules"])


def credit(server: Any, status: int, **named: str) -> Any:
    params = {**named, "credit": "1"}
    answer = httpx.get(f"{server.url}/v1/align/why", params=params, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_why_weighs_every_token_of_an_answer_when_asked(server: Any) -> None:
    asked(server, "Hello!")
    asked(server, "Hello!", "Great work, well done!", "Too long, keep it short.")
    first = turns(server)[0]
    found = credit(server, 200, turn=first.id)["credit"]
    assert (found["turn"], found["feedback"]) == (first.id, "Too long, keep it short.")
    assert "".join(token["text"] for token in found["tokens"]) == first.answer
    for token in found["tokens"]:
        assert token["credit"] == pytest.approx(token["teacher"] - token["student"])
        assert token["alternatives"]


def test_credit_without_an_answer_or_any_word_about_it_is_refused_with_the_way_out(
    server: Any,
) -> None:
    assert "name it" in credit(server, 400)["error"]["message"]
    asked(server, "Hello!")
    assert "nothing is known" in credit(server, 400, session=KEY)["error"]["message"]


def test_credit_that_takes_too_long_is_given_up(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("align_agent.server.align.CREDIT_SECONDS", -1.0)
    asked(server, "Hello!")
    asked(server, "Hello!", "Great work, well done!", "Too long, keep it short.")
    assert credit(server, 504, turn=turns(server)[0].id)["error"]["code"] == "timeout"


def test_status_counts_and_a_first_rollback_is_refused(server: Any) -> None:
    asked(server, "Hello!")
    data = httpx.get(f"{server.url}/v1/align/status", timeout=60).json()
    assert (data["serving"], data["turns"]["total"], data["lost"]) == ("base", 1, {})
    assert "nothing to roll back" in post(server, "rollback", {}, 404)["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("events", {"events": []}, "events"),
        ("events", {"events": [{"type": "else", "id": "12345678", "session": "s"}]}, "events.0"),
        ("events", {"events": [{"type": "session", "id": "short", "session": "s"}]}, "id"),
        ("events", {"events": "x"}, "events"),
        ("rate", {"session": "s", "verdict": "sideways"}, "verdict"),
        ("rate", {"verdict": "up"}, "session, response, run, or turn"),
        ("rate", {"session": "s", "verdict": "up", "wy": "typo"}, "wy"),
        ("rate", {"response": "r", "message": "1", "verdict": "up"}, "give session too"),
        ("forget", {}, "session"),
    ],
)
def test_bad_input_is_refused_by_name(server: Any, path: str, body: Any, named: str) -> None:
    assert named in post(server, path, body, 400)["error"]["message"]


def test_the_same_access_rules_hold_as_elsewhere(serve: Any) -> None:
    server = serve(token="secret")
    url = f"{server.url}/v1/align/status"
    assert httpx.get(url).status_code == 401
    held = {"authorization": "Bearer secret"}
    assert httpx.get(url, headers=held).status_code == 200
    assert httpx.get(url, headers=held | {"origin": "https://example.com"}).status_code == 403
    assert httpx.get(url, headers=held | {"host": "example.com"}).status_code == 421


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FIELDS = ["type", "id", "session", "response", "run", "trigger", "tools", "text", "at", "verdict"]
EVENT = st.dictionaries(
    st.sampled_from(FIELDS), JSON | st.sampled_from(["answer", "sent", "rating"])
)


@given(st.lists(EVENT, max_size=3))
def test_any_json_is_read_or_refused(events: list[Any]) -> None:
    try:
        batch = Events.model_validate({"events": events})
    except ValidationError:
        return
    assert all(len(event.id) >= 8 for event in batch.events)

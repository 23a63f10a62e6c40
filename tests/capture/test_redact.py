"""Redaction: what must go, what must stay."""

from __future__ import annotations

import json
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.capture.patterns import is_iban
from align_agent.capture.redact import clean, redact, redact_turn
from align_agent.capture.wire import MAX_CHARS
from align_agent.records import Message, ToolCall

ALNUM = string.ascii_letters + string.digits


def made(prefix: str, length: int, signs: str = ALNUM, seed: int = 7) -> str:
    rng = random.Random(seed)
    return prefix + "".join(rng.choice(signs) for _ in range(length - 1)) + "7"


JWT = ".".join([made("eyJ", 30), made("eyJ", 80), made("", 43)])
BODY = "\n".join(made("", 64, ALNUM + "+/", seed) for seed in range(12))
KEY_BLOCK = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----"

SECRETS = {
    "openai": ("openai_key", made("sk-", 48)),
    "openai project": ("openai_key", made("sk-proj-", 120, ALNUM + "_-")),
    "openrouter": ("openai_key", made("sk-or-v1-", 64, "0123456789abcdef")),
    "anthropic": ("anthropic_key", made("sk-ant-api03-", 95, ALNUM + "_-")),
    "github classic": ("github_token", made("ghp_", 36)),
    "github server": ("github_token", made("ghs_", 36)),
    "github fine": ("github_token", made("github_pat_", 82, ALNUM + "_")),
    "gitlab": ("api_key", made("glpat-", 20)),
    "aws": ("aws_key", "AKIAIOSFODNN7EXAMPLE"),
    "aws temporary": ("aws_key", made("ASIA", 16, string.ascii_uppercase + string.digits)),
    "slack bot": ("slack_token", "-".join([made("xoxb-", 12, string.digits), made("", 24)])),
    "slack app": ("slack_token", made("xapp-1-A0", 40)),
    "google": ("google_key", made("AIza", 35)),
    "google oauth": ("google_key", made("ya29.", 80)),
    "stripe live": ("stripe_key", made("sk_live_", 24)),
    "stripe test": ("stripe_key", made("rk_test_", 24)),
    "stripe hook": ("stripe_key", made("whsec_", 32)),
    "hugging face": ("api_key", made("hf_", 34)),
    "npm": ("api_key", made("npm_", 36)),
    "pypi": ("api_key", made("pypi-AgEIcHlwaS5vcmc", 100, ALNUM + "_-")),
    "sendgrid": ("api_key", ".".join([made("SG.", 22), made("", 43)])),
    "groq": ("api_key", made("gsk_", 52)),
    "telegram": ("api_key", made("123456789:AA", 33)),
    "jwt": ("jwt", JWT),
    "private key": ("private_key", KEY_BLOCK),
    "openssh key": ("private_key", KEY_BLOCK.replace("RSA", "OPENSSH")),
    "pgp key": (
        "private_key",
        KEY_BLOCK.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
    ),
    "key within JSON": ("private_key", json.dumps(KEY_BLOCK)[1:-1]),
}
FRAMES = ["{}", "my key is {} please keep it", "KEY='{}'", '{{"key": "{}"}}', "({})", "a,{};b\n"]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_taken_out_wherever_it_stands(kind, frame):
    name, secret = SECRETS[kind]
    result = redact(frame.format(secret), personal=False)
    assert secret not in result.text
    assert secret[10:-2] not in result.text
    assert sum(result.found.values()) == 1
    assert frame != "{}" or result.text == f"[redacted:{name}]"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
        ("curl -H 'authorization: bearer AbC.123_x-y~z/9=='", "AbC.123_x-y~z/9"),
        ('{"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}', "dXNlcjpwYXNzd29yZA"),
        ("postgres://me:hunter2@db.example.com:5432/x", "hunter2"),
        ("redis://:p4ss!word@localhost", "p4ss!word"),
        ("https://u:s3cr3t@host/path?x=1", "s3cr3t"),
        ("GET /x?access_token=abcdef123456&y=1", "abcdef123456"),
        ("https://h/?user=me&password=letmein", "letmein"),
        ("password=hunter2", "hunter2"),
        ("PASSWORD=hunter2", "hunter2"),
        ("export DB_PASSWORD=correcthorse", "correcthorse"),
        ("db-password: tr0ub4dor&3", "tr0ub4dor"),
        ("password = 'letmein'", "letmein"),
        ('password: "letmein"', "letmein"),
        ('{"password": "letmein", "user": "me"}', "letmein"),
        ('"{\\"password\\": \\"letmein\\"}"', "letmein"),
        ("my password is hunter2.", "hunter2"),
        ("Mein Passwort lautet Sommer2024!", "Sommer2024"),
        ("the password for the wifi is Sunshine99", "Sunshine99"),
        ("please set the password to hunter2!", "hunter2"),
        ("my api key is 9f86d081884c7d659a2f", "9f86d081884c7d659a2f"),
        ("SECRET_KEY = 'django-insecure-#$%^&abcdef1234567'", "django-insecure"),
        ("passwd=abc123;", "abc123"),
        ("api_key = 'abcd1234efgh5678'", "abcd1234efgh5678"),
        ("API-KEY: abcd1234efgh5678", "abcd1234efgh5678"),
        ("client_secret=AbCd-1234-EfGh", "AbCd-1234-EfGh"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
        ("token=9f86d081884c7d65", "9f86d081884c7d65"),
    ],
)
def test_a_secret_that_is_given_to_a_name_is_taken_out(text, secret):
    result = redact(text, personal=False)
    assert secret not in result.text
    assert "[redacted:" in result.text


def test_what_surrounds_a_secret_stays():
    text = "password=hunter2 user=bob\nurl=postgres://me:pw1@db/x ok"
    assert redact(text, personal=False).text == (
        "password=[redacted:password] user=bob\nurl=postgres://me:[redacted:password]@db/x ok"
    )


PERSONAL = {
    "email": ("email", "jane.doe+news@example.co.uk"),
    "email in brackets": ("email", "<j@x.org>"),
    "email abroad": ("email", "müller@bücher.example"),
    "phone": ("phone", "+49 170 1234567"),
    "phone with brackets": ("phone", "+1 (555) 123-4567"),
    "phone tight": ("phone", "+442079460958"),
    "phone american": ("phone", "(555) 123-4567"),
    "phone dashes": ("phone", "555-123-4567"),
    "phone german": ("phone", "0171 1234567"),
    "phone by name": ("phone", "Phone: 555 0123 99"),
    "phone by name tight": ("phone", "my phone number is 01223276182"),
    "iban": ("iban", "DE89 3704 0044 0532 0130 00"),
    "iban tight": ("iban", "GB82WEST12345698765432"),
    "iban lower": ("iban", "fr14 2004 1010 0505 0001 3m02 606"),
    "visa": ("card", "4111 1111 1111 1111"),
    "visa tight": ("card", "4111111111111111"),
    "mastercard": ("card", "5500-0055-5555-5559"),
    "amex": ("card", "3782 822463 10005"),
    "ipv4": ("ip_address", "192.168.178.21"),
    "ipv6": ("ip_address", "2001:db8:85a3::8a2e:370:7334"),
    "ipv6 local": ("ip_address", "fe80::1ff:fe23:4567:890a"),
}


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_goes_when_the_setting_says_so(kind):
    name, text = PERSONAL[kind]
    sentence = f"It is {text}, I think."
    result = redact(sentence, personal=True)
    assert dict(result.found) == {name: 1}
    assert f"[redacted:{name}]" in result.text
    assert result.text.startswith("It is")
    assert result.text.endswith(", I think.")


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_stays_when_the_setting_says_so(kind):
    sentence = f"It is {PERSONAL[kind][1]}, I think."
    assert redact(sentence, personal=False).text == sentence


HARMLESS = [
    "The answer is 42, and 3.14159 * 2 = 6.28318.",
    "1234567890 + 9876543210 = 11111111100",
    "Compute 4000000000000000 / 16 and 5500005555555558 - 1.",
    "555-1234 is not enough, and 100-200-300 is a sum.",
    "Numbers: 1, 22, 333, 4444, 55555, 666666, 7777777.",
    "2024-01-15 12:30:45, 15.01.2024, 12/31/1999, 10:15-11:45",
    "Section 1.2.3.4 of version 10.20.30.40, chapter 2.10.3.1",
    "The mask is 255.255.255.0 and localhost is 127.0.0.1.",
    "for i in range(1, n + 1): print(i, x[::2], a[1::3], y[::-1])",
    "std::vector<int> a; face::b::c(); Foo::Bar x = y ? a : b;",
    "password = input('Your password: ')",
    "password = getpass.getpass()",
    "if password == other.password: return token",
    "connect(user=user, password=password)",
    "login(name, password=entered)",
    "User(password=os.environ['PW'], token=None)",
    "def f(password: str, token: str | None = None) -> bool: ...",
    "password=$PASSWORD and token=${TOKEN} and secret={{ secret }}",
    "password: <your password>, api_key: your-api-key, token: ...",
    "Password: must be long. The secret is to practise. My token of thanks!",
    "The secret is x^2+3x=10, the token: y^2-4y=21. Change the password to something long.",
    "A password has 4 digits. How many passwords are there?",
    "The secret to happiness is 2 naps. A token is a piece of a word.",
    "max_tokens=256, next_token = tokens[0], num_token=12345678",
    "sorted(words, key=lambda w: len(w)), dict(key=value), primary_key=True",
    "sk-learn and sk-1 are no keys; task-force, risk-averse-investor-behaviour-1",
    "The bearer of certificates arrived. Bearer bonds pay well.",
    "@property\n@app.route('/x')\ndef f(a @ b): return A @ B.T",
    "git clone git@github.com:someone/project.git",
    "https://example.com:8080/a/b?page=2&key=name#top",
    "http://localhost:3000/@scope/package",
    "A file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.",
    "-----BEGIN CERTIFICATE-----\n" + BODY + "\n-----END CERTIFICATE-----",
    "x +12 +34 = 46; 5 +12345678 = 12345683; (+4) * 3",
    "ISBN 978-3-16-148410-0, room B12, flight LH1234, AB12 CDEF",
    "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "550e8400-e29b-41d4-a716-446655440000 aa:bb:cc:dd:ee:ff",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "**Final Answer:** 12 apples 🍎",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_homework_and_code_stay_as_they_are(text):
    assert redact(text, personal=True).text == text


def test_real_homework_stays_as_it_is(shared_data):
    lines = (shared_data / "gsm8k_train_1000.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines for text in json.loads(line).values()]
    assert [text for text in texts if redact(text, personal=True).text != text] == []


WORDS = ["the", "a", "plus", "times", "apples", "costs", "is", *"=+-*/()?.", "each"]
numbers_and_words = st.lists(
    st.one_of(
        st.integers(-(10**7), 10**7).map(str),
        st.floats(-(10**6), 10**6).map("{:.3f}".format),
        st.sampled_from(WORDS),
    ),
    max_size=30,
).map(" ".join)


@given(numbers_and_words)
@settings(deadline=None)
def test_any_homework_of_small_numbers_stays_as_it_is(text):
    assert redact(text, personal=True).text == text


pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from([secret for _, secret in SECRETS.values()]),
    st.sampled_from([text for _, text in PERSONAL.values()]),
    st.sampled_from(["password=", 'token: "', "://u:", "@", "Bearer ", "[redacted:email]", "\n"]),
)
mixtures = st.lists(pieces, max_size=8).map("".join)


@pytest.mark.parametrize("number", ["+49 170 1234567", "(555) 123-4567"])
def test_numbers_that_are_glued_together_are_all_redacted(number):
    found = redact(12 * number, personal=True)
    assert (found.text, found.found) == (12 * "[redacted:phone]", {"phone": 12})


@given(mixtures, st.booleans())
@settings(deadline=None, max_examples=300)
def test_redacting_twice_changes_nothing_more(text, personal):
    once = redact(text, personal)
    assert redact(once.text, personal).text == once.text


@given(st.text(), st.sampled_from(sorted(SECRETS)), st.text())
@settings(deadline=None, max_examples=300)
def test_a_secret_between_spaces_never_survives(before, kind, after):
    secret = SECRETS[kind][1]
    assert secret not in redact(f"{before} {secret} {after}", personal=False).text


@given(st.text(ALNUM + " .,:;!?()\n", max_size=100))
@settings(deadline=None)
def test_what_holds_nothing_to_redact_comes_back_as_the_same_text(text):
    result = redact(text, personal=False)
    assert result.found or result.text == text


ADVERSARIES = [
    *["a", "+", "1", "0", "a@", "1.", "a:", ":", "(", "1-", "AA00 ", "sk-", "eyJ", '\\"', "x\n"],
    *["-----BEGIN PRIVATE KEY-----", "password=", 'password="', "http://a:", "phone ", "Bearer "],
    *["a.a@a.", "[redacted:x]", "4111 ", "token is ", "password for ", "\ud800", "\x00"],
]


@pytest.mark.parametrize("piece", ADVERSARIES)
@pytest.mark.timeout(60)
def test_a_megabyte_of_anything_is_redacted_in_linear_time(piece):
    # A pattern with quadratic behaviour would take hours here, far beyond the timeout.
    redact(piece * (1_000_000 // len(piece)), personal=True)


def test_a_secret_that_the_cut_goes_through_does_not_survive_in_part():
    secret = SECRETS["openai project"][1]
    long = "word " * 60_000
    cuts = (149_952, 250_144)  # where the head ends and the tail begins
    for place in (cut + shift for cut in cuts for shift in range(-160, 40, 25)):
        text = long[:place] + " " + secret + " " + long[place:]
        kept = clean(text, personal=True).text
        assert len(kept) <= MAX_CHARS
        assert secret[:16] not in kept
        assert secret[-16:] not in kept


def test_of_an_enormous_text_the_ends_are_kept_and_the_loss_is_noted():
    kept = clean("begin " + "a" * 1_000_000 + " end", personal=True).text
    assert len(kept) <= MAX_CHARS
    assert kept.startswith("begin aaa")
    assert kept.endswith("aaa end")
    assert "characters left out" in kept


def test_secrets_at_both_ends_of_an_enormous_text_are_taken_out():
    secret = SECRETS["github classic"][1]
    result = clean(f"{secret} " + "a" * 1_000_000 + f" {secret}", personal=True)
    assert secret not in result.text
    assert result.found == {"github_token": 2}


@given(st.text(st.characters(codec=None), max_size=300))
@settings(deadline=None)
def test_what_is_cleaned_can_be_stored_and_stays_as_it_is(text):
    once = clean(text, personal=True).text
    once.encode("utf-8")
    assert clean(once, personal=True).text == once


def test_every_part_of_a_turn_is_redacted_and_counted_once(make_turn):
    key = SECRETS["openai"][1]
    call = ToolCall("1", "login", {"password": "hunter2", "deep": [{"note": f"use {key}"}], "n": 1})
    turn = make_turn(
        f"my key is {key}",
        f"Your key {key} is safe.",
        prompt=(Message("system", f"admin key {key}"), Message("user", f"my key is {key}")),
        response=(
            Message("assistant", "", (call,)),
            Message("tool", f"ok, bob@example.com, {key}", tool_call_id="1"),
            Message("assistant", f"Your key {key} is safe."),
        ),
    )
    cleaned, found = redact_turn(turn, personal=True)
    assert key not in repr(cleaned)
    assert "hunter2" not in repr(cleaned)
    assert "bob@example.com" not in repr(cleaned)
    assert cleaned.response[0].tool_calls[0].arguments["n"] == 1
    assert found == {"openai_key": 3, "email": 1}
    assert cleaned.prompt[-1].content == cleaned.user_text == "my key is [redacted:openai_key]"


def test_a_key_in_what_a_client_says_of_a_tool_is_taken_out_and_its_schema_stays(make_turn):
    key = SECRETS["github classic"][1]
    schema = {"type": "object", "properties": {"password": {"type": "string", "default": key}}}
    told = {"name": "fetch", "description": f"Call it with {key}.", "parameters": schema}
    turn = make_turn(tools=({"type": "function", "function": told},))
    cleaned, found = redact_turn(turn, personal=True)
    function = cleaned.tools[0]["function"]
    assert key not in repr(cleaned)
    assert function["description"] == "Call it with [redacted:github_token]."
    assert function["parameters"]["properties"]["password"]["type"] == "string"
    assert found == {}, "it stands in every prompt: only what is new is counted"


def test_arguments_that_are_nested_without_end_are_cut_off(make_turn):
    deep: dict = {}
    for _ in range(200):
        deep = {"a": deep}
    turn = make_turn(response=(Message("assistant", "", (ToolCall("1", "f", deep),)),))
    cleaned, _ = redact_turn(turn, personal=True)
    assert "nested too deeply" in repr(cleaned)


@pytest.mark.parametrize("text", ["DE89370400440532013001", "XX89370400440532013000", "DE8937"])
def test_an_account_number_with_a_wrong_sum_or_length_is_none(text):
    assert not is_iban(text)

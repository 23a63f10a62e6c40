"""How much redaction finds, and how often it strikes what is harmless.

`make bench-redaction`. A corpus is generated: keys of many makers in their published shapes, put
into chat, program text and logs. Recall is counted by the secret's own text: nothing of its middle
may be left. False alarms are counted on messages of real people, where the data is there. Yelp's
detect-secrets reads the same texts. Personal data: `redaction_personal`. Prints the tables, then
one JSON object.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import os
import platform
import random
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import redaction_personal

from align_agent.capture.redact import redact

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
B64 = ALNUM + "+/"
URL = ALNUM + "-_"

Rng = random.Random
Maker = Callable[[Rng], tuple[str, str]]  # (as it is written, the secret part of it)


def signs(rng: Rng, n: int, of: str = ALNUM) -> str:
    """`n` signs, a digit among them, as nearly every key of that length has one."""
    made = [rng.choice(of) for _ in range(n)]
    made[rng.randrange(1, n)] = rng.choice("0123456789")
    return "".join(made)


def plain(prefix: str, n: int, of: str = ALNUM, end: str = "") -> Maker:
    def make(rng: Rng) -> tuple[str, str]:
        key = prefix + signs(rng, n, of) + end
        return key, key

    return make


def named(name: str, n: int, of: str = ALNUM) -> Maker:
    """A key that only its name gives away."""

    def make(rng: Rng) -> tuple[str, str]:
        key = signs(rng, n, of)
        return f"{name}{rng.choice(['=', ': ', ' = '])}{key}", key

    return make


def block(kind: str) -> Maker:
    def make(rng: Rng) -> tuple[str, str]:
        body = [signs(rng, 64, B64) for _ in range(6)]
        lines = [f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----"]
        return "\n".join(lines), body[3]

    return make


def jwt(rng: Rng) -> tuple[str, str]:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    facts = json.dumps({"sub": signs(rng, 10), "iat": rng.randrange(10**9)}).encode()
    body = base64.urlsafe_b64encode(facts).decode().rstrip("=")
    token = f"{head}.{body}.{signs(rng, 43, URL)}"
    return token, token


def in_url(rng: Rng) -> tuple[str, str]:
    word = signs(rng, 14, ALNUM + "!$*")
    scheme = rng.choice(["postgres", "mysql", "mongodb+srv", "redis", "amqp", "https"])
    return f"{scheme}://admin:{word}@db.example.com:5432/app", word


def connection_string(rng: Rng) -> tuple[str, str]:
    word = signs(rng, 12, ALNUM + "!#")
    return f"Server=tcp:db.example.com,1433;User ID=sa;Password={word};Encrypt=True", word


def azure_storage(rng: Rng) -> tuple[str, str]:
    key = signs(rng, 86, B64) + "=="
    return f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={key}", key


def password_line(rng: Rng) -> tuple[str, str]:
    word = signs(rng, rng.randrange(8, 20), ALNUM + "!#$%")
    word = "p" + word + "9"
    return f"{rng.choice(['password', 'PASSWORD', 'DB_PASSWORD', 'passwd'])}={word}", word


def aws_secret(rng: Rng) -> tuple[str, str]:
    key = signs(rng, 40, B64)
    return f"aws_secret_access_key = {key}", key


def bearer(rng: Rng) -> tuple[str, str]:
    key = signs(rng, 40, URL)
    return f"Authorization: Bearer {key}", key


def basic(rng: Rng) -> tuple[str, str]:
    key = base64.b64encode(f"user:{signs(rng, 12)}".encode()).decode()
    return f"Authorization: Basic {key}", key


def query_token(rng: Rng) -> tuple[str, str]:
    key = signs(rng, 32, HEX)
    return f"https://api.example.com/v2/items?access_token={key}&page=2", key


def hook(base: str, *parts: int) -> Maker:
    def make(rng: Rng) -> tuple[str, str]:
        last = [signs(rng, n) for n in parts]
        return base + "/".join(last), last[-1]

    return make


FORMATS: dict[str, Maker] = {
    "OpenAI": plain("sk-", 48),
    "OpenAI project": plain("sk-proj-", 124, URL),
    "OpenRouter": plain("sk-or-v1-", 64, HEX),
    "Anthropic": plain("sk-ant-api03-", 93, URL, "AA"),
    "GitHub classic": plain("ghp_", 36),
    "GitHub fine-grained": plain("github_pat_", 82, ALNUM + "_"),
    "GitHub app": plain("ghs_", 36),
    "GitLab": plain("glpat-", 20, URL),
    "AWS access key": plain("AKIA", 16, UPPER),
    "AWS secret key": aws_secret,
    "Google API": plain("AIza", 35, URL),
    "Google OAuth secret": plain("GOCSPX-", 28, URL),
    "Slack bot": lambda rng: (
        (
            k
            := f"xoxb-{signs(rng, 12, string.digits)}-{signs(rng, 12, string.digits)}-{signs(rng, 24)}"
        ),
        k,
    ),
    "Slack webhook": hook("https://hooks.slack.com/services/", 9, 11, 24),
    "Stripe live": plain("sk_live_", 24),
    "Stripe webhook": plain("whsec_", 32),
    "Hugging Face": plain("hf_", 34, string.ascii_letters),
    "npm": plain("npm_", 36),
    "PyPI": plain("pypi-AgEIcHlwaS5vcmc", 140, URL),
    "SendGrid": lambda rng: ((k := f"SG.{signs(rng, 22, URL)}.{signs(rng, 43, URL)}"), k),
    "Twilio": plain("SK", 32, HEX),
    "Mailgun": plain("key-", 32, HEX),
    "Mailchimp": lambda rng: ((k := f"{signs(rng, 32, HEX)}-us{rng.randrange(1, 22)}"), k),
    "Telegram bot": lambda rng: (
        (k := f"{rng.randrange(10**8, 10**10)}:AA{signs(rng, 33, URL)}"),
        k,
    ),
    "Discord bot": lambda rng: (
        (k := f"M{signs(rng, 23)}.{signs(rng, 6, URL)}.{signs(rng, 38, URL)}"),
        k,
    ),
    "Discord webhook": hook("https://discord.com/api/webhooks/", 18, 68),
    "Shopify": plain("shpat_", 32, HEX),
    "DigitalOcean": plain("dop_v1_", 64, HEX),
    "Databricks": plain("dapi", 32, HEX),
    "Groq": plain("gsk_", 52),
    "Notion": plain("ntn_", 46),
    "Linear": plain("lin_api_", 40),
    "Docker Hub": plain("dckr_pat_", 27, URL),
    "HashiCorp Vault": plain("hvs.", 95, URL),
    "Grafana": lambda rng: ((k := f"glsa_{signs(rng, 32)}_{signs(rng, 8, HEX)}"), k),
    "Postman": lambda rng: ((k := f"PMAK-{signs(rng, 24, HEX)}-{signs(rng, 34, HEX)}"), k),
    "Pulumi": plain("pul-", 40, HEX),
    "New Relic": plain("NRAK-", 27, UPPER),
    "Atlassian": plain("ATATT3xFfGF0", 180, URL, "=1A2B3C4D"),
    "Square": plain("sq0atp-", 22, URL),
    "Doppler": plain("dp.pt.", 43),
    "RubyGems": plain("rubygems_", 48, HEX),
    "Netlify": plain("nfp_", 36),
    "Supabase": plain("sbp_", 40, HEX),
    "Figma": plain("figd_", 40, URL),
    "Sentry": plain("sntrys_", 120, B64),
    "Dropbox": plain("sl.", 138, URL),
    "age key": plain("AGE-SECRET-KEY-1", 58, UPPER),
    "Azure storage": azure_storage,
    "Azure client secret": lambda rng: ((k := f"{signs(rng, 3)}8Q~{signs(rng, 34, URL)}"), k),
    "Cloudflare": named("CLOUDFLARE_API_TOKEN", 40, URL),
    "Datadog": named("DD_API_KEY", 32, HEX),
    "Heroku": lambda rng: (
        (f"HEROKU_API_KEY={(k := '-'.join(signs(rng, n, HEX) for n in (8, 4, 4, 4, 12)))}"),
        k,
    ),
    "JWT": jwt,
    "RSA key": block("RSA PRIVATE KEY"),
    "OpenSSH key": block("OPENSSH PRIVATE KEY"),
    "PGP key": block("PGP PRIVATE KEY BLOCK"),
    "password in a URL": in_url,
    "connection string": connection_string,
    "password line": password_line,
    "bearer header": bearer,
    "basic header": basic,
    "token in a query": query_token,
}

FRAMES: dict[str, tuple[str, ...]] = {
    "chat": (
        "{}",
        "Hi, it does not work. I use {} and get a 401, why?",
        "My key is {}.",
        "here you go: {}\n\nthanks!",
        "Is this right ({})? I found it in the old repo, no idea what it is for.",
        "Don't share this, but it's `{}`, ok?",
    ),
    "code": (
        'client = Client("{}")\nprint(client.me())',
        "export CONFIG='{}'\n./run.sh",
        '{{"name": "test", "value": "{}", "on": true}}',
        "const c = `{}`; // TODO: remove",
        "services:\n  web:\n    environment:\n      - {}\n    ports: [80]",
        "    setup(\n        {},\n    )\n",
    ),
    "logs": (
        "2026-03-01T10:00:00Z INFO [worker-3] sent {} to upstream",
        "[ERROR] request failed: {} (status=401)",
        "127.0.0.1 - - [01/Mar/2026] GET /x {} 200 512",
        "DEBUG auth credentials={}; retrying in 5s",
        'level=warn msg="bad credentials" value="{}"',
        'Traceback (most recent call last):\n  File "a.py", line 3\nValueError: {}\n',
    ),
}


def corpus(seed: int, rounds: int) -> Iterator[tuple[str, str, str, str]]:
    """(format, place, text, secret)."""
    for name, make in FORMATS.items():
        rng = random.Random(f"{seed}/{name}")
        for _ in range(rounds):
            for place, frames in FRAMES.items():
                for frame in frames:
                    written, secret = make(rng)
                    yield name, place, frame.format(written), secret


def gone(secret: str, text: str) -> bool:
    """Nothing of the secret's middle is left: six signs of it would be too many."""
    inner = secret[len(secret) // 3 :]
    return secret not in text and not any(
        inner[n : n + 8] in text for n in range(0, max(1, len(inner) - 7), 4)
    )


def theirs() -> Callable[[str], bool] | None:
    """Whether detect-secrets flags any line of a text; None where it is not installed."""
    try:
        from detect_secrets.core.scan import scan_file
        from detect_secrets.settings import default_settings
    except ModuleNotFoundError:
        return None
    # It judges a file as its command does; what it is handed line by line it flags nearly always.
    path = Path(tempfile.mkdtemp(prefix="redaction-")) / "text.txt"

    def flags(text: str) -> bool:
        path.write_text(text, encoding="utf-8")
        with default_settings():
            return any(True for _ in scan_file(str(path)))

    return flags


def ordinary(folder: Path) -> list[str]:
    """Messages of real people and the answers to them."""
    texts = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found = [row.get(name) for name in ("user", "question", "answer")]
            for message in row.get("context") or ():
                found.append(message.get("content") or message.get("text"))
            texts += [text for text in found if isinstance(text, str) and text.strip()]
    return list(dict.fromkeys(texts))


HARD = {
    "prose": "The quick brown fox jumps over the lazy dog. ",
    "one letter": "a",
    "digits": "1",
    "key prefixes": "sk-",
    "assignments": "password=",
    "dots": "a.",
    "at signs": "a@",
    "colons": "f:",
    "begin marks": "-----BEGIN PRIVATE KEY-----",
    "base64": "QUJD",
    "spaces": " ",
}


def seconds_of(sample: str, size: int) -> float:
    text = (sample * (size // len(sample) + 1))[:size]
    began = time.perf_counter()
    redact(text, True)
    return time.perf_counter() - began


def measure(rounds: int, data: Path) -> dict[str, Any]:
    flags = theirs()
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for name, place, text, secret in corpus(7, rounds):
        caught = gone(secret, redact(text, False).text)
        flagged = bool(flags and flags(text))
        for key in (name, place, "all"):
            total[key] += 1
            found[key] += caught
            other[key] += flagged
    texts = ordinary(data) if data.is_dir() else []
    alarms = [text for text in texts if redact(text, False).found]
    their_alarms = sum(1 for text in texts if flags and flags(text))
    times = {
        name: (seconds_of(sample, 250_000), seconds_of(sample, 1_000_000))
        for name, sample in HARD.items()
    }
    return {
        "formats": len(FORMATS),
        "texts": total["all"],
        "recall": found["all"] / total["all"],
        "recall by format": {name: found[name] / total[name] for name in FORMATS},
        "recall by place": {name: found[name] / total[name] for name in FRAMES},
        "detect-secrets recall": other["all"] / total["all"] if flags else None,
        "messages": len(texts),
        "false alarms per 1000": 1000 * len(alarms) / len(texts) if texts else None,
        "detect-secrets alarms per 1000": 1000 * their_alarms / len(texts)
        if texts and flags
        else None,
        "worst seconds a megabyte": max(long for _, long in times.values()),
        "worst growth for 4x": max(long / max(short, 1e-3) for short, long in times.values()),
        "alarms": [text[:200] for text in alarms],
    }


def show(figures: dict[str, Any]) -> None:
    def shown(value: Any, form: str) -> str:
        return "not measured" if value is None else format(value, form)

    rows = [
        ("recall, all", shown(figures["recall"], ".4f"), "0.99", figures["detect-secrets recall"]),
        *[
            (f"recall, {place}", format(value, ".4f"), "0.99", None)
            for place, value in figures["recall by place"].items()
        ],
        (
            "false alarms per 1,000 messages",
            shown(figures["false alarms per 1000"], ".2f"),
            "1",
            figures["detect-secrets alarms per 1000"],
        ),
        ("worst seconds for 1 MB", format(figures["worst seconds a megabyte"], ".2f"), "", None),
        ("its growth from 250 KB to 1 MB", format(figures["worst growth for 4x"], ".1f"), "", None),
    ]
    print("| figure | align-agent | aim | detect-secrets |\n| --- | --- | --- | --- |")
    for name, value, aim, beside in rows:
        print(f"| {name} | {value} | {aim} | {'' if beside is None else f'{beside:.4f}'} |")
    missed = {k: v for k, v in figures["recall by format"].items() if v < 0.99}
    print(
        f"\n{figures['formats']} formats, {figures['texts']} texts, "
        f"{figures['messages']} ordinary messages"
    )
    for name, value in sorted(missed.items(), key=lambda item: item[1]):
        print(f"below 0.99: {name} {value:.3f}")
    for text in figures["alarms"]:
        print(f"false alarm: {text!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=3, help="texts a format and frame")
    default = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder of ordinary messages")
    chosen = parser.parse_args()
    figures = measure(chosen.rounds, chosen.data)
    show(figures)
    figures.pop("alarms")
    if importlib.util.find_spec("faker") is None:
        print("\npersonal data: not measured, Faker is not installed (pip install faker)")
    else:
        messages = ordinary(chosen.data) if chosen.data.is_dir() else []
        personal = redaction_personal.measure(100 * chosen.rounds, messages)
        redaction_personal.show(personal)
        figures["personal"] = {k: personal[k] for k in ("texts", "recall", "messages")}
        figures["personal"]["struck"] = len(personal["struck"])
    machine = {"cpu": platform.machine(), "python": platform.python_version()}
    print(json.dumps({"name": "redaction", "figures": figures,
                      "machine": machine | {"date": str(date.today())}}))  # fmt: skip


if __name__ == "__main__":
    main()

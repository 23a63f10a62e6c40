"""How much personal data redaction finds: a corpus that Faker makes, which knows nothing of our
patterns.

Part of `make bench-redaction`. E-mail and IP addresses, telephone, card and account numbers, street
addresses and national ID numbers of many countries, each with a word before it that names it, and
bare. Found is what has no longer run of its own signs left than two fifths of it.
"""

from __future__ import annotations

import difflib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from align_agent.capture.redact import redact

LEFT = 0.4

Made = tuple[str, str]  # (which sort of its kind, as it is written)

EMAILS = "en_US de_DE fr_FR it_IT pl_PL ja_JP".split()
PHONES = "en_US en_GB en_AU en_IN de_DE fr_FR es_ES it_IT nl_NL pl_PL pt_BR sv_SE ja_JP".split()
IBANS = "de_DE fr_FR es_ES it_IT nl_NL pl_PL en_GB de_AT pt_PT fi_FI".split()
STREETS = "en_US en_GB en_AU en_CA de_DE de_AT fr_FR es_ES it_IT nl_NL pl_PL pt_BR".split()
CARDS = "visa16 visa19 mastercard amex discover jcb16 diners".split()
# Country -> what Faker calls the number by which its state knows a person.
IDS = {
    "en_US": "ssn", "en_GB": "ssn", "fr_FR": "ssn", "it_IT": "ssn", "es_ES": "nie",
    "pl_PL": "pesel", "nl_NL": "ssn", "pt_BR": "cpf", "sv_SE": "ssn", "fi_FI": "ssn",
    "en_IN": "aadhaar_id", "de_DE": "rvnr",
}  # fmt: skip

NAMED: dict[str, tuple[str, ...]] = {
    "email": ("my email is {}", "Write to me at {}, thanks!", "E-mail: {}"),
    "phone": ("my phone number is {}", "Call me at {} tomorrow.", "Tel.: {}"),
    "card": ("my card number is {}", "Credit card: {}, valid until 12/29", "card={}"),
    "iban": ("my IBAN is {}", "Please pay to {}.", "IBAN: {}"),
    "ip_address": ("my IP address is {}", "The server at {} is down.", "ip={}"),
    "address": ("I live at {}", "Ship it to {}, please.", "Address: {}"),
    "national_id": ("my ID number is {}", "{name}: {}", "{name} {}, as you asked"),
}
BARE = (
    "{}",
    "Hi! {} Thanks.",
    "value: {}",
    '{{"x": "{}"}}',
    "2026-03-01 10:00 INFO got {} from form",
)
# What people call their own country's number.
ID_NAMES = {
    "en_US": "Social security number", "en_GB": "National insurance number",
    "fr_FR": "Numéro de sécurité sociale", "it_IT": "Codice fiscale", "es_ES": "NIE",
    "pl_PL": "PESEL", "nl_NL": "BSN", "pt_BR": "CPF", "sv_SE": "Personnummer",
    "fi_FI": "Henkilötunnus", "en_IN": "Aadhaar", "de_DE": "Rentenversicherungsnummer",
}  # fmt: skip


def makers(seed: int) -> dict[str, Callable[[], Made]]:
    """One maker for each kind; each call is another country's or maker's. Needs Faker."""
    from faker import Faker

    rng = random.Random(seed)
    fakers = {name: Faker(name) for name in {*EMAILS, *PHONES, *IBANS, *STREETS, *IDS, "en_US"}}
    for place, name in enumerate(sorted(fakers)):
        fakers[name].seed_instance(seed + place)

    def of(names: list[str], ask: str) -> Callable[[], Made]:
        def make() -> Made:
            name = rng.choice(names)
            return name, str(getattr(fakers[name], ask)()).replace("\n", ", ")

        return make

    def card() -> Made:
        kind = rng.choice(CARDS)
        digits = fakers["en_US"].credit_card_number(kind)
        return kind, _grouped(digits, rng.choice(["", " ", "-"]))

    def iban() -> Made:
        name = rng.choice(IBANS)
        return name, _fours(fakers[name].iban(), rng.choice(["", " "]))

    def address() -> Made:
        kind = rng.choice(["ipv4_public", "ipv6"])
        return kind, str(getattr(fakers["en_US"], kind)())

    def known_as() -> Made:
        name = rng.choice(sorted(IDS))
        if name == "en_GB":  # Faker makes those that are never given out
            first, second = rng.choice("ABCEHJKLM"), rng.choice("ABCEHJKLM")
            digits = "".join(rng.choice("0123456789") for _ in range(6))
            return name, f"{first}{second}{digits}{rng.choice('ABCD')}"
        return name, str(getattr(fakers[name], IDS[name])())

    return {
        "email": of(EMAILS, "email"),
        "phone": of(PHONES, "phone_number"),
        "card": card,
        "iban": iban,
        "ip_address": address,
        "address": of(STREETS, "street_address"),
        "national_id": known_as,
    }


def _fours(text: str, gap: str) -> str:
    return gap.join(text[n : n + 4] for n in range(0, len(text), 4))


def _grouped(digits: str, gap: str) -> str:
    """As printed on the card: 4-6-5 on fifteen digits, 4-6-4 on fourteen, else fours."""
    if len(digits) in (14, 15):
        return gap.join((digits[:4], digits[4:10], digits[10:]))
    return _fours(digits, gap)


def corpus(seed: int, each: int) -> Iterator[tuple[str, str, bool, str, str]]:
    """(kind, sort, whether it is named, text, what must go)."""
    for kind, make in makers(seed).items():
        for number in range(each):
            for named, frames in ((True, NAMED[kind]), (False, BARE)):
                sort, written = make()
                frame = frames[number % len(frames)]
                text = frame.format(written, name=ID_NAMES.get(sort, "ID"))
                yield kind, sort, named, text, written


def gone(written: str, text: str) -> bool:
    matcher = difflib.SequenceMatcher(None, written, text, autojunk=False)
    longest = matcher.find_longest_match(0, len(written), 0, len(text))
    return longest.size <= LEFT * len(written)


def measure(each: int, messages: list[str]) -> dict[str, Any]:
    """Recall by kind, named and bare, the sorts that are missed, and what ordinary messages lose."""
    total: Counter[tuple[str, bool]] = Counter()
    found: Counter[tuple[str, bool]] = Counter()
    sorts: Counter[tuple[str, str, bool]] = Counter()
    missed: Counter[tuple[str, str, bool]] = Counter()
    examples: dict[tuple[str, str, bool], str] = {}
    for kind, sort, named, text, written in corpus(11, each):
        caught = gone(written, redact(text, True).text)
        total[kind, named] += 1
        found[kind, named] += caught
        sorts[kind, sort, named] += 1
        if not caught:
            missed[kind, sort, named] += 1
            examples.setdefault((kind, sort, named), text)
    struck = [(text, kinds) for text in messages if (kinds := _personal_kinds(text))]
    return {
        "texts": sum(total.values()),
        "recall": {
            kind: {
                "named": found[kind, True] / total[kind, True],
                "bare": found[kind, False] / total[kind, False],
            }
            for kind in NAMED
        },
        "missed": [
            {
                "kind": kind, "sort": sort, "named": named, "example": examples[kind, sort, named],
                "share": round(count / sorts[kind, sort, named], 2),
            }
            for (kind, sort, named), count in sorted(missed.items())
        ],
        "messages": len(messages),
        "struck": [{"kinds": kinds, "text": text} for text, kinds in struck],
    }  # fmt: skip


def _personal_kinds(text: str) -> dict[str, int]:
    return {kind: n for kind, n in redact(text, True).found.items() if kind in NAMED}


def show(figures: dict[str, Any]) -> None:
    print("\n| personal data | recall, named | bare |\n| --- | --- | --- |")
    for kind, recall in figures["recall"].items():
        print(f"| {kind} | {recall['named']:.3f} | {recall['bare']:.3f} |")
    for row in figures["missed"]:
        place = "named" if row["named"] else "bare"
        print(
            f"missed {row['share']:.2f} of {row['kind']} {row['sort']}, {place}: {row['example']!r}"
        )
    if figures["messages"]:
        share = 1000 * len(figures["struck"]) / figures["messages"]
        print(f"struck in {share:.2f} of 1,000 ordinary messages:")
    for row in figures["struck"]:
        print(f"  {row['kinds']}: {row['text'][:300]!r}")

"""What secrets and personal data look like: a table of patterns, each with its name.

Every pattern is linear in the text: repeats are bounded or cannot start again within a run, so
a megabyte of one character takes no longer than a megabyte of prose.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

Accept = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of thing to take out.

    `hints` are texts of which one must occur (in lower case) for the pattern to be tried at all.
    Where the expression has a group `keep`, that part stays in front of the marker. `accept` has
    the last word on a match.
    """

    kind: str
    expression: re.Pattern[str]
    hints: tuple[str, ...] = ()
    accept: Accept | None = None


def pattern(
    kind: str, expression: str, hints: str = "", accept: Accept | None = None, flags: int = 0
) -> Pattern:
    """A row of the table; `hints` are parted by spaces."""
    return Pattern(kind, re.compile(expression, flags), tuple(hints.split()), accept)


# The beginning and the end of a token: not within a longer word.
_B = r"(?<![A-Za-z0-9_-])"
_E = r"(?![A-Za-z0-9_-])"


def _has_digit(match: re.Match[str]) -> bool:
    return any(sign.isdigit() for sign in match[0])


def _holds_key(match: re.Match[str]) -> bool:
    """A real key block, and not the words of somebody who explains one."""
    return re.search(r"[A-Za-z0-9+/=]{32}", match["body"]) is not None


_VENDOR_KEYS = "|".join(
    [
        r"hf_[A-Za-z0-9]{30,64}",  # Hugging Face
        r"npm_[A-Za-z0-9]{36}",
        r"pypi-[A-Za-z0-9_-]{40,400}",
        r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}",  # SendGrid
        r"glpat-[A-Za-z0-9_-]{20,64}",  # GitLab
        r"gsk_[A-Za-z0-9]{20,80}",  # Groq
        r"xai-[A-Za-z0-9]{20,120}",
        r"r8_[A-Za-z0-9]{30,64}",  # Replicate
        r"pplx-[A-Za-z0-9]{32,64}",  # Perplexity
        r"dop_v1_[a-f0-9]{64}",  # DigitalOcean
        r"shp(?:at|ss|ca|pa)_[a-fA-F0-9]{32}",  # Shopify
        r"lin_api_[A-Za-z0-9]{32,64}",  # Linear
        r"ntn_[A-Za-z0-9]{40,64}",  # Notion
        r"dapi[a-f0-9]{32}",  # Databricks
        r"tvly-[A-Za-z0-9_-]{20,64}",  # Tavily
        r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",  # Telegram bots
        r"[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}",  # Discord bots
        r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
        r"SK[a-f0-9]{32}",  # Twilio
        r"key-[a-f0-9]{32}",  # Mailgun
        r"[a-f0-9]{32}-us[0-9]{1,2}",  # Mailchimp
        r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,64}",  # Docker Hub
        r"hv[sbr]\.[A-Za-z0-9_-]{20,300}",  # HashiCorp Vault
        r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,80}",  # Terraform Cloud
        r"gl(?:sa|c)_[A-Za-z0-9+/=_]{32,200}",  # Grafana
        r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}",  # Postman
        r"pul-[a-f0-9]{40}",  # Pulumi
        r"NR(?:AK|II|RA|JS)-[A-Za-z0-9]{19,40}",  # New Relic
        r"AT(?:ATT3|CTT3)[A-Za-z0-9_=-]{60,400}",  # Atlassian
        r"sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}",  # Square
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",  # Doppler
        r"rubygems_[a-f0-9]{48}",
        r"nfp_[A-Za-z0-9]{36,40}",  # Netlify
        r"sbp_[a-f0-9]{40}",  # Supabase
        r"sb_secret_[A-Za-z0-9_-]{20,64}",
        r"figd_[A-Za-z0-9_-]{30,64}",  # Figma
        r"sntry[su]_[A-Za-z0-9+/=_]{60,400}",  # Sentry
        r"sl\.(?:u\.)?[A-Za-z0-9_-]{100,1400}",  # Dropbox
        r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,36}",  # Azure's client secrets
        r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",  # Airtable
        r"fm2_[A-Za-z0-9+/=_-]{60,400}",  # Fly.io
        r"cio[A-Za-z0-9]{32}",  # crates.io
        r"vercel_[A-Za-z0-9]{20,64}",
    ]
)

SECRETS: tuple[Pattern, ...] = (
    pattern(
        "private_key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?P<body>(?:(?!-----).){0,20000})"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
        "private",
        _holds_key,
        re.DOTALL,
    ),
    pattern("anthropic_key", rf"{_B}sk-ant-[A-Za-z0-9_-]{{16,400}}", "sk-ant-"),
    pattern(
        "openai_key",
        rf"{_B}sk-(?:(?:proj|svcacct|admin|or-v1|lf)-[A-Za-z0-9_-]{{20,400}}|[A-Za-z0-9]{{20,400}})",
        "sk-",
    ),
    pattern(
        "github_token",
        rf"{_B}(?:gh[pousr]_[A-Za-z0-9]{{36,255}}|github_pat_[A-Za-z0-9_]{{22,255}})",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
    ),
    pattern("aws_key", rf"{_B}(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{{16}}{_E}", "akia asia abia acca"),
    pattern(
        "slack_token",
        rf"{_B}(?:xox[abeoprs]-[A-Za-z0-9-]{{10,250}}|xapp-[A-Za-z0-9-]{{10,250}})"
        r"|hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,200}",
        "xox xapp- hooks.slack.com",
    ),
    # Whoever has such an address may write into the channel.
    pattern(
        "webhook",
        r"(?P<keep>discord(?:app)?\.com/api/webhooks/)[0-9A-Za-z]{10,24}/[A-Za-z0-9_-]{40,100}"
        r"|(?<=\.webhook\.office\.com/webhookb2/)[A-Za-z0-9/@-]{40,300}",
        "/webhooks/ webhook.office.com",
    ),
    pattern(
        "google_key",
        rf"{_B}(?:AIza[A-Za-z0-9_-]{{35}}|GOCSPX-[A-Za-z0-9_-]{{20,40}}"
        rf"|ya29\.[A-Za-z0-9_.-]{{20,400}}){_E}",
        "aiza gocspx- ya29.",
    ),
    pattern(
        "stripe_key",
        rf"{_B}(?:(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{{16,200}}|whsec_[A-Za-z0-9+/=]{{16,200}})",
        "_live_ _test_ whsec_",
    ),
    pattern("api_key", rf"{_B}(?:{_VENDOR_KEYS}){_E}", "", _has_digit),
    pattern(
        "jwt",
        rf"{_B}eyJ[A-Za-z0-9_-]{{8,4000}}\.eyJ[A-Za-z0-9_-]{{8,8000}}\.[A-Za-z0-9_-]{{0,4000}}",
        "eyj",
    ),
    pattern(
        "token",
        rf"{_B}(?P<keep>bearer\s{{1,4}})[A-Za-z0-9._~+/=-]{{16,4000}}",
        "bearer",
        _has_digit,
        re.IGNORECASE,
    ),
    pattern(
        "token",
        r"(?P<keep>\bauthorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:basic|token|digest|apikey)\s{1,4})"
        r"[A-Za-z0-9._~+/=-]{8,4000}",
        "authorization",
        None,
        re.IGNORECASE,
    ),
    pattern(
        "password",
        r"(?P<keep>[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'<>\[\]]{0,64}:)[^\s/@\"'<>\[\]]{1,128}(?=@)",
        "://",
        None,
        re.IGNORECASE,
    ),
    pattern(
        "token",
        r"(?P<keep>[?&](?:access_token|auth_token|api_?key|apikey|token|password|passwd|pwd|secret"
        r"|client_secret|sig|signature|x-amz-signature)=)[^&\s#\"'<>\[\]]{6,2000}",
        "=",
        None,
        re.IGNORECASE,
    ),
)


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}"
    r"|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}"
)


def _is_card(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match[0])
    return _CARD.fullmatch(digits) is not None and luhn(digits)


# Country -> length of its account numbers (ISO 13616).
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 "
    "DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 "
    "IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 "
    "MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 "
    "SM27 ST25 SV28 TN24 TR26 UA29 VA22 VG24 XK20"
)
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}


def is_iban(text: str) -> bool:
    """Length by country and the checksum modulo 97 (ISO 13616)."""
    compact = text.replace(" ", "").upper()
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


_NUMBERED = re.compile(r"(?:version|release|section|chapter|build|ver\.?|§) ?$", re.IGNORECASE)


def _is_ipv4(match: re.Match[str]) -> bool:
    """An address of somebody: not a mask, not this machine, not the numbers of a chapter."""
    if _NUMBERED.search(match.string, max(0, match.start() - 12), match.start()):
        return False
    octets = [int(part) for part in match[0].split(".")]
    if any(octet > 255 for octet in octets) or all(octet < 10 for octet in octets):
        return False
    return octets[0] not in (0, 127) and octets[:2] != [255, 255]


def _is_ipv6(match: re.Match[str]) -> bool:
    text = match[0]
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    # `a::b` and `::2` are slices and scopes far more often than addresses.
    groups = [group for group in text.split(":") if group]
    return any(sign.isdigit() for sign in text) and (
        len(groups) >= 3 or (bool(groups) and len(groups[0]) == 4)
    )


def _is_email(match: re.Match[str]) -> bool:
    # `git@host.com:project` is an address of a repository.
    following: str = match.string[match.end() : match.end() + 1]
    return not (str(match["local"]).lower() == "git" and following == ":")


PERSONAL: tuple[Pattern, ...] = (
    pattern(
        "email",
        r"(?<![\w.+%-])(?P<local>[\w.+%-]{1,64})@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}"
        r"(?![\w-])(?!\s?\()",
        "@",
        _is_email,
    ),
    pattern(
        "card",
        r"(?<![\w.,-])(?:\d{13,19}|\d{4}(?P<s>[ -])\d{4}(?P=s)\d{4}(?P=s)\d{4}(?:(?P=s)\d{1,3})?"
        r"|\d{4}(?P<t>[ -])\d{6}(?P=t)\d{4,5})(?![\w-]|[.,]\d)",
        "",
        _is_card,
    ),
    pattern("ip_address", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", ".", _is_ipv4),
    pattern(
        "ip_address",
        r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])",
        ":",
        _is_ipv6,
    ),
)

IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}")

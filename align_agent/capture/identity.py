"""By which number a state knows somebody: patterns with their checks.

Part of the personal data of `patterns.py`, for countries whose way of writing them is regular.
"""

from __future__ import annotations

import re

from align_agent.capture.patterns import Pattern, luhn, pattern

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_PESEL = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
_RVNR = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
_CALLED = (
    "passport|social security|ssn|national id|national insurance|ni number|tax id|steuer-?id"
    "|steueridentifikationsnummer|personalausweis|reisepass|aadhaar|dni|nie|nif|codice fiscale"
    "|pesel|bsn|burgerservicenummer|cpf|personnummer|personal number|henkilötunnus|hetu"
    "|(?:renten|sozial)versicherungsnummer|numéro de sécurité sociale|sécurité sociale|id card"
    "|(?:my|his|her|their|your) id|driver'?s licen[cs]e"
)


def _is_dni(match: re.Match[str]) -> bool:
    """Spain: the letter follows from the number modulo 23."""
    return _DNI[int(match["number"]) % 23] == match["letter"].upper()


def _is_nir(match: re.Match[str]) -> bool:
    """France: the last two digits are 97 minus the number modulo 97."""
    digits = re.sub(r"\D", "", match[0])
    return bool(97 - int(digits[:13]) % 97 == int(digits[13:]))


def _is_nie(match: re.Match[str]) -> bool:
    """Spain, foreigners: X, Y, Z stand for 0, 1, 2 before the number."""
    number = int(f"{'XYZ'.index(match['first'])}{match['number']}")
    return _DNI[number % 23] == match["letter"]


def _is_hetu(match: re.Match[str]) -> bool:
    """Finland: the last sign follows from the nine digits modulo 31."""
    return _HETU[int(match["date"] + match["number"]) % 31] == match["check"]


def _is_personnummer(match: re.Match[str]) -> bool:
    """Sweden: Luhn over the ten digits, of which six are a date."""
    digits = re.sub(r"\D", "", match[0])[-10:]
    return 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) % 60 <= 31 and luhn(digits)


def _is_pesel(match: re.Match[str]) -> bool:
    """Poland: a date whose month also tells the century, and a weighed sum modulo 10."""
    digits = [int(sign) for sign in match[0]]
    month, day = (digits[2] * 10 + digits[3]) % 20, digits[4] * 10 + digits[5]
    weighed = sum(digit * weight for digit, weight in zip(digits, _PESEL, strict=True))
    return 1 <= month <= 12 and 1 <= day <= 31 and weighed % 10 == 0


def _is_rvnr(match: re.Match[str]) -> bool:
    """Germany, pension insurance: the sums of the digits' weighed products, modulo 10."""
    letter = f"{ord(match['letter']) - ord('A') + 1:02d}"
    digits = re.sub(r"\D", "", f"{match['date']}{letter}{match['serial']}")
    products = (int(digit) * weight for digit, weight in zip(digits, _RVNR, strict=True))
    return sum(n // 10 + n % 10 for n in products) % 10 == int(match["check"])


def _is_cpf(match: re.Match[str]) -> bool:
    """Brazil: two check digits, each a weighed sum modulo 11."""
    digits = [int(sign) for sign in match[0] if sign.isdigit()]
    for place in (9, 10):
        weighed = sum(digits[n] * (place + 1 - n) for n in range(place))
        if weighed * 10 % 11 % 10 != digits[place]:
            return False
    return True


def _has_digits(match: re.Match[str]) -> bool:
    return sum(sign.isdigit() for sign in str(match["id"])) >= 5


IDENTITY: tuple[Pattern, ...] = (
    # United States: the ranges that were never given out are left alone.
    pattern(
        "national_id",
        r"(?<![\w.-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)",
        "-",
    ),
    pattern(  # United Kingdom
        "national_id",
        r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2}"
        r" ?[A-D](?!\w)",
    ),
    pattern("national_id", r"(?<![\w.,])(?P<number>\d{8})-?(?P<letter>[A-Z])(?!\w)", "", _is_dni),
    pattern(
        "national_id",
        r"(?<![\w.,])[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2}(?![\w]|[.,]\d)",
        "",
        _is_nir,
    ),
    pattern(
        "national_id",
        r"(?<!\w)(?P<first>[XYZ])-?(?P<number>\d{7})-?(?P<letter>[A-Z])(?!\w)",
        "",
        _is_nie,
    ),
    pattern(  # Italy: so regular that no checksum is needed
        "national_id",
        r"(?<!\w)[A-Z]{3} ?[A-Z]{3} ?\d{2}[A-EHLMPRST]\d{2} ?[A-Z]\d{3}[A-Z](?!\w)",
    ),
    pattern(
        "national_id",
        r"(?<![\w-])(?P<date>\d{6})[-+A-FU-Y](?P<number>\d{3})(?P<check>[0-9A-Y])(?![\w-])",
        "",
        _is_hetu,
    ),
    pattern("national_id", r"(?<![\w-])(?:19|20)?\d{6}[-+]\d{4}(?![\w-])", "- +", _is_personnummer),
    pattern("national_id", r"(?<![\w.,-])\d{11}(?![\w-]|[.,]\d)", "", _is_pesel),
    pattern(
        "national_id",
        r"(?<!\w)(?P<date>\d{2} ?[0-3]\d[01]\d{3}) ?(?P<letter>[A-Z]) ?(?P<serial>\d{2})"
        r"(?P<check>\d)(?!\w)",
        "",
        _is_rvnr,
    ),
    pattern("national_id", r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])", "-", _is_cpf),
    # Any number that the words before it call one.
    pattern(
        "national_id",
        rf"(?P<keep>(?<![^\W_])(?:{_CALLED})(?:snummer)?(?: (?:number|no|nr))?(?: is| ist)?"
        r"[.:#]{0,2} {0,2})"
        r"(?P<id>(?:[A-Z]{1,6}[ -]?)?\d[A-Z0-9]{0,20}(?:[ -][A-Z]{0,3}\d[A-Z0-9]{0,20}){0,5})"
        r"(?!\w)",
        "passport social ssn national tax steuer ausweis pass aadhaar dni nie codice pesel bsn "
        "burgerservice cpf personn personal henkil hetu versicherung sécurité id nif insurance "
        "driver",
        _has_digits,
        re.IGNORECASE,
    ),
)

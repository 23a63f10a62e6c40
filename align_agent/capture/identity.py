"""Where somebody lives, and by which number a state knows them: patterns with their checks.

Part of the personal data of `patterns.py`, for languages whose way of writing them is regular.
"""

from __future__ import annotations

import re

from align_agent.capture.patterns import Pattern, pattern

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Way"
    "|Place|Pl|Crescent|Close|Parkway|Pkwy|Highway|Hwy"
)


def _is_dni(match: re.Match[str]) -> bool:
    """Spain: the letter follows from the number modulo 23."""
    return _DNI[int(match["number"]) % 23] == match["letter"].upper()


def _is_nir(match: re.Match[str]) -> bool:
    """France: the last two digits are 97 minus the number modulo 97."""
    digits = re.sub(r"\D", "", match[0])
    return bool(97 - int(digits[:13]) % 97 == int(digits[13:]))


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
    # Any number that the words before it call one.
    pattern(
        "national_id",
        r"(?P<keep>(?<![^\W_])(?:passport|social security|ssn|national id|tax id|steuer-?id"
        r"|steueridentifikationsnummer|personalausweis|reisepass|aadhaar|dni|nie|codice fiscale)"
        r"(?:snummer)?(?: (?:number|no|nr))?(?: is| ist)?[.:#]{0,2} {0,2})"
        r"(?P<id>[A-Z0-9](?:[ -]?[A-Z0-9]){5,18})(?!\w)",
        "passport social ssn national tax steuer ausweis pass aadhaar dni nie codice",
        _has_digits,
        re.IGNORECASE,
    ),
    pattern(
        "address",
        r"(?<![\w.,$€£-])\d{1,5}[A-Za-z]? (?!(?:The|A|An|My|This|That|More|Other) )"
        rf"(?:[A-Z][\w'’-]{{1,24}}\.? ){{1,3}}(?:{_STREET})(?!\w)\.?"
        r"(?:,? (?:Apt|Apartment|Suite|Unit|Flat|#)\.? ?\w{1,6})?",
        "street st ave road rd boulevard blvd lane ln drive dr court ct square sq terrace way "
        "place pl crescent close parkway pkwy highway hwy",
    ),
    pattern(
        "address",
        r"(?<!\w)[A-ZÄÖÜ][A-Za-zäöüß-]{2,30}(?:straße|strasse|str\.|weg|gasse|allee|platz|ufer)"
        r" \d{1,4}(?: ?[a-z](?!\w))?(?![\w])(?:, ?\d{5} [A-ZÄÖÜ][\wäöüß-]{1,30})?",
        "straße strasse str. weg gasse allee platz ufer",
    ),
    pattern(
        "address",
        r"(?<![\w.,-])\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|chemin|impasse|quai)"
        r" (?:de la |des |de |du |d['’])?[A-ZÀ-Ý][\w'’-]{1,30}(?: [A-ZÀ-Ý][\w'’-]{1,30}){0,2}",
        "rue avenue boulevard chemin impasse quai",
    ),
)

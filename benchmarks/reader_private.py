"""What the lexicon reads without the words that it knows from one row alone.

The lexicon was written by people who had read the development rows, so its figures on them are
those of a training set. Here each alternative of a pattern is asked which rows need it; an
alternative that no other row needs is taken away before that row is read. What remains is what
the lexicon would have known without that row: a cautious estimate of how it reads new ones.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

from align_agent.feedback import complaints
from align_agent.feedback.lexical import Reading, read
from align_agent.feedback.text import clauses, own_words

Arm = tuple[int, int, int, int]  # pattern, start and end of the group, number of the alternative


def read_rows(rows: list) -> tuple[list[Reading], list[Reading]]:
    """(as the lexicon is, without private words) for each row."""
    plain = [_read(row) for row in rows]
    private = _private_arms(rows)
    careful = list(plain)
    original = complaints.FAULTS
    for number, arms in private.items():
        try:
            complaints.FAULTS = _without(original, arms)
            careful[number] = _read(rows[number])
        finally:
            complaints.FAULTS = original
    return plain, careful


def _read(row: object) -> Reading:
    return read(row.follow_up, answer=row.answer, previous_user=row.asked)


def _private_arms(rows: list) -> dict[int, list[Arm]]:
    said = []
    for number, row in enumerate(rows):
        if row.source in ("ifllm", "shortened"):
            continue  # nothing there is a complaint; these stand here already
        own = own_words(row.follow_up, answer=row.answer, previous_user=row.asked)
        for clause in clauses(own):
            lead = complaints._LEAD.match(clause.text)
            text = clause.text[lead.end() :] if lead else clause.text
            said.append((number, text.strip(" ,!?")))
    found: dict[int, list[Arm]] = defaultdict(list)
    for place, fault in enumerate(complaints.FAULTS):
        hits = [(number, text) for number, text in said if _fires(fault, fault.regex, text)]
        for start, end in _groups(fault.regex.pattern) if hits else ():
            arms = _arms(fault.regex.pattern[start:end])
            for chosen in range(len(arms)):
                rest = _lacking(fault.regex.pattern, start, end, chosen)
                need = {number for number, text in hits if not _fires(fault, rest, text)}
                if len(need) == 1:
                    found[need.pop()].append((place, start, end, chosen))
    return {
        number: arms for number, arms in found.items() if rows[number].source in ("oasst", "eurtad")
    }


def _fires(fault: object, regex: re.Pattern, text: str) -> bool:
    match = regex.match(text) if fault.starts else regex.search(text)
    whole = match is not None and match.group().strip(" ?") == text.strip(" ?")
    return match is not None and (whole or not fault.whole)


def _without(faults: tuple, arms: list[Arm]) -> tuple:
    changed = list(faults)
    taken = set()
    for place, start, end, chosen in arms:
        if place in taken:
            continue  # one missing alternative closes the way already
        taken.add(place)
        regex = _lacking(faults[place].regex.pattern, start, end, chosen)
        changed[place] = replace(faults[place], regex=regex)
    return tuple(changed)


def _lacking(pattern: str, start: int, end: int, chosen: int) -> re.Pattern:
    arms = _arms(pattern[start:end])
    rest = "|".join(arms[:chosen] + arms[chosen + 1 :])
    return re.compile(pattern[:start] + rest + pattern[end:])


def _groups(pattern: str) -> list[tuple[int, int]]:
    """Where the groups `(?:...)` of several alternatives lie."""
    opened, found, at = [], [], 0
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "[":
            at = pattern.index("]", at + 1)
        elif pattern[at] == "(":
            opened.append(at)
        elif pattern[at] == ")":
            begin = opened.pop()
            if pattern[begin : begin + 3] == "(?:" and len(_arms(pattern[begin + 3 : at])) > 1:
                found.append((begin + 3, at))
        at += 1
    return found


def _arms(text: str) -> list[str]:
    depth, arms, at = 0, [""], 0
    while at < len(text):
        if text[at] in "\\[":
            end = at + 2 if text[at] == "\\" else text.index("]", at + 1) + 1
            arms[-1] += text[at:end]
            at = end
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if text[at] == "|" and not depth:
            arms.append("")
        else:
            arms[-1] += text[at]
        at += 1
    return arms

"""The gate's judgement for people: in a few sentences, and as one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_agent.gate.report import CONTESTANTS, GATES, TITLES, Judgement, Measure
from align_agent.gate.verdict import COMPARISON

SAYS = {"good": "better", "bad": "worse", "unsure": "not sure", "fine": "fine"}
VERDICTS = {"promote": "passed", "review": "waits for your yes", "reject": "rejected"}
# What a person asks first, also where all went well: are my wishes kept, is it as able, as brief,
# does it keep secrets?
_FIRST = ("rules", "correct", "length", "secrets")
# Columns of the rows that nights of before the measures left, by the measure that each is.
_COLUMNS = {"probes": "correct", "words": "length", "gave_in": "giving_in"}
_SHARES = ("rule_share", "correct")  # the same as the counts beside them
_NAMES = {"base with rules": "memory"}


def brief(judged: Judgement) -> list[str]:
    """Some of the reasons, whole sentences: all that speak against it or are no measure's, of the
    others what is asked first."""
    by_sentence = {measure.sentence: measure for measure in judged.measures}
    checked = any(m.key == "rules" and m.outcome != "unmeasured" for m in judged.measures)
    kept = []
    for reason in judged.reasons:
        measure = by_sentence.get(reason)
        if measure is None:
            wanted = not reason.startswith(COMPARISON)
        elif measure.gate == "own" and not checked:
            wanted = True
        else:
            wanted = measure.key in _FIRST or measure.outcome in ("bad", "unsure")
        if wanted:
            kept.append(sentence(reason))
    return [*kept, *_passed(judged)]


def _passed(judged: Judgement) -> list[str]:
    gates = judged.gates()
    failed = [GATES[gate] for gate, passed in gates.items() if not passed]
    if failed:
        return [f"It did not pass: {', '.join(failed)} ({len(failed)} of {len(gates)} gates)."]
    return [f"It passed all {len(gates)} gates, as a new version must."] if gates else []


def sentence(text: str) -> str:
    """A reason as a sentence: its beginning large, but for a version's name, and a full stop."""
    text = text.strip().rstrip(".")
    if not (text[:1] == "v" and text[1:2].isdigit()):
        text = text[:1].upper() + text[1:]
    return f"{text}." if text else ""


def table_of(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Measures down, contestants across, and what each difference says where an interval tells."""
    judged = Judgement.from_dict(verdict)
    measures = [m for m in judged.measures if m.outcome != "unmeasured"] if judged else []
    if not measures:
        return _of_scores(verdict)
    passed = judged.gates() if judged else {}
    who = list(dict.fromkeys(name for measure in measures for name in measure.values))
    return {
        "who": [CONTESTANTS.get(name, name) for name in who],
        "rows": [
            {
                "gate": GATES[measure.gate],
                "passed": passed[measure.gate],
                "measure": measure.title,
                "values": [measure.values.get(name) for name in who],
                **_difference(measure),
            }
            for measure in measures
        ],
    }


def _difference(measure: Measure) -> dict[str, Any]:
    return {
        "against": CONTESTANTS.get(measure.against, measure.against),
        "difference": measure.difference,
        "interval": [measure.low, measure.high],
        "change": measure.change(),
        "between": measure.interval(),
        "outcome": measure.outcome,
        "says": SAYS[measure.outcome],
    }


def _of_scores(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a night that kept no measures: its rows of scores, turned round."""
    rows = [row for row in verdict.get("table", ()) if isinstance(row, dict)]
    names = [name for row in rows[:1] for name in row if name not in ("who", *_SHARES)]
    return {
        "who": [_who(str(row.get("who", ""))) for row in rows],
        "rows": [
            {"measure": title(name), "values": [row.get(name) for row in rows]} for name in names
        ],
    }


def _who(name: str) -> str:
    return CONTESTANTS.get(_NAMES.get(name, name), name)


def title(column: str) -> str:
    """What a column of a night's scores is called."""
    return TITLES.get(_COLUMNS.get(column, column), column.replace("_", " "))

"""A person's search text to SQL that finds turns. Runs nothing."""

from __future__ import annotations

import re
import unicodedata

_TERM = re.compile(r'"([^"]+)"|([^\s"]+)')
_MAX_TERMS = 32
# Scripts that put no spaces between words: the index holds whole runs of them, not words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def matching(search: str) -> tuple[str, list[str]]:
    """An SQL condition on `turns` and its parameters. Every term must occur.

    Words go to the full-text index, as beginnings of words; a quoted phrase as a phrase. What the
    index cannot know (signs, emoji, unspaced scripts) is looked for in the text itself, and so are
    quotation marks that hold nothing.
    """
    phrases: list[str] = []
    parts: list[str] = []
    terms = _TERM.findall(search)[:_MAX_TERMS] or [("", search.strip())]
    for quoted, word in terms:
        term = (quoted or word).replace("\x00", "")
        if not searchable(term):
            parts.append(term)
        elif quoted:
            phrases.append(f'"{quoted}"')
        else:
            phrases.append(f'"{word}" *')
    conditions, parameters = [], []
    if phrases:
        conditions.append("number in (select rowid from turns_fts where turns_fts match ?)")
        parameters.append(" AND ".join(phrases).replace("\x00", ""))
    for part in parts:
        conditions.append("(instr(user_text, ?) > 0 or instr(answer, ?) > 0)")
        parameters += [part, part]
    return " and ".join(conditions), parameters


def searchable(term: str) -> bool:
    """Whether the index's tokenizer finds words in the term, and can find them within a text."""
    letters = [sign for sign in term if unicodedata.category(sign)[0] in "LN"]
    if not letters or _UNSPACED.search(term):
        return False
    # The tokenizer knows letters up to Unicode 6.1; what 3.2 knew is certainly among them.
    old = unicodedata.ucd_3_2_0
    return all(old.category(sign)[0] in "LN" for sign in letters)

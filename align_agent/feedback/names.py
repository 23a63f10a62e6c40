"""Does a text name somebody, in small letters too? By the commonest first names, and by place.

"Write to anna that ...", "as told by grzegorz": what stands bare behind "to", "from", "with" and
the like, and is no word of style, of answers or of everyday, is taken for a name. Errs towards a
name: what names somebody never becomes a rule. First names that are everyday words too
("grace", "max") count by their place alone.
"""

from __future__ import annotations

import re

from align_agent.feedback.mention import find_concepts
from align_agent.feedback.patterns import compiled, word_set
from align_agent.feedback.text import normalise
from align_agent.feedback.vocabulary import ANSWER_WORDS, FUNCTION_WORDS

FIRST_NAMES = word_set(
    """
    aaron abdul adam adrian agnes ahmed aisha alan albert alejandro alessandro alex alexander
    alexandra alexis alfred ali alice alina alison alyssa amanda amelia amir amy ana anastasia
    andre andrea andreas andrew andrzej andy angela anita ann anna anne annette annie anthony
    antonia antonio arjun arthur ashley astrid barbara beatrice ben benjamin bernard bernd bettina
    bianca birgit bob boris brandon brenda brian bruno bryan camila carl carla carlos carmen carol
    caroline catherine cecilia charlie charlotte chloe chris christian christina christine
    christopher claudia clara claire daniel daniela danny dave david deborah dennis diana diego
    dieter dimitri dmitri dominik donald donna doris dorothy dylan eddie eduardo edward elena elias
    elisa elizabeth ella ellen emil emily emma enrique eric erik erika ethan eva evelyn fabian
    fatima felix fernando filip fiona florian francesca francesco francis francisco franz freddie
    frederic friedrich gabriel gabriela gary george georg gerald gerhard giovanni giulia giuseppe
    gloria greg gregory greta guillaume gunter gustav hannah hans harold harry hassan heather
    heidi heinrich heinz helen helena helga henri henrik henry hiroshi hugo hussein ian ibrahim
    igor ines ingrid irene irina isaac isabel isabella ivan jacob jacqueline jakob jakub james
    jamie jana janet jason javier jean jeff jeffrey jennifer jeremy jerry jesus jessica
    jim jimmy joan joanna joao joel joachim johan johann johanna johannes john johnny jonas
    jonathan jorge jose josef joseph joshua juan judith julian juliana julie jurgen justin
    kai karen karin karl katarzyna kate katharina katherine kathleen katie katja katrin keith
    kelly ken kenji kenneth kevin khalid kim klaus kristina krzysztof kurt kyle larry lars laura
    lauren laurent lea leah lena leo leon leonie leonardo leslie liam linda lisa lorenzo lou louis
    louise luca lucas lucia lucy luis luisa lukas magda magdalena malik manfred manuel marco marcus
    margaret maria marie marina mario marion marta martha martin martina mary mateo mathias
    matteo matthew matthias maxim maya megan mehmet melanie melissa michael michele michelle
    miguel mike mikhail mia milan mila mohamed mohammed monica monika moritz muhammad mustafa nadia
    nancy natalia natalie natasha nathan nicholas nick nicola nicolas nicole nikita nikolai nina
    noah nora norbert olaf oleg olga oliver olivia omar oscar pablo pamela paola patricia patrick
    paul paula pavel pedro peggy peter petra philip philipp philippe pierre piotr priya rachel
    rafael rahul raj ralf ralph ramon raymond rebecca reinhard renate ricardo richard rita robert
    roberto roger roland rolf roman ronald rosa rudolf russell ruth ryan sabine sally sam samantha
    samir samuel sandra santiago sara sarah scott sean sebastian sergei sergey sergio sharon
    silvia simon simone sofia sophia sophie stefan stefanie stephan stephanie stephen steve steven
    susan susanne svetlana sven sylvia tanja tatiana ted teresa theo theresa thomas tim timothy
    tina tobias tom tomas tommy tony tracy ulrich ulrike ursula uwe valentina valerie vanessa vera
    veronica veronika victor victoria viktor vincent virginia vladimir walter wei wendy werner
    wilhelm william wolfgang yasmin yuki yusuf yvonne zoe
    """
)
# Bare nouns that often stand behind "with" or "in" in a wish about the manner of an answer.
_MANNER = word_set(
    """
    humor humour irony prose verse context care confidence clarity detail accuracy evidence proof
    simplicity brevity rhythm punctuation grammar passion empathy respect emphasis markup latex
    plain beginner everyone everybody someone somebody anyone anybody people adult expert novice
    layman laymen customer reader audience child kid pupil scratch memory experience left right top
    bottom email mail letter chat slack telegram whatsapp work school home fun science history
    politics religion music sport food weather money health law math maths physics chemistry
    biology philosophy literature art code python english german french spanish italian dutch
    portuguese polish russian chinese japanese korean arabic turkish hindi latin today yesterday
    default example instance sure certain pros cons two three four five once least most metric
    imperial first last abbreviation apology greeting caveat disclaimer source citation quotation
    footnote reference jargon slang passive active present past future tense person plural singular
    """
)
_EVERYDAY = FUNCTION_WORDS | ANSWER_WORDS | _MANNER
# "to anna", "cc anna", "as anna would": who is written to, spoken of, or imitated.
_BEFORE = compiled(
    r"(?:to|for|from|with|about|by|like|as|at|cc|bcc|email|mail|text|ask|tell|call|invite|thank|greet"
    r"|address|copy|dear|hi|hello|of|and|than|impersonate|sign(?: it)? as)"
)
_ENDINGS = re.compile(
    r"(?:s|ing|ed|ly|tion|sion|ity|ness|ment|ism|ance|ence|able|ible|al|ful|less|ic|ous|ive|ish"
    r"|ward|wise|phy|gy)$"
)
# "As mark twain would".
_WOULD = re.compile(
    r"\b(?:as|like) (?!(?:an?|the|if|you|i|they|we|it|he|she|one|people|your?|my|any|every)\b)"
    r"[^\W\d_]+(?: [^\W\d_]+)? would\b"
)
_AT_MOST = re.compile(r"\bmax(?=\.? (?:\d|an?|one|two|three|four|five|six|seven|eight|nine|ten)\b)")
_POSSESSIVE = re.compile(r"\b([^\W\d_]{2,})'s\b")
_NO_OWNER = word_set(
    "it that there here what who how let he she where when today tomorrow layman reader author "
    "everyone everybody somebody someone anyone one user customer student teacher writer child kid "
    "beginner world year week day month company life"
)


def names_somebody(text: str) -> bool:
    """Whether a wish seems to name a person. Any text is taken."""
    low = _AT_MOST.sub("at most", text.casefold().replace("\u2019", "'"))
    words = re.findall(r"[^\W\d_]+", low)
    if any(word in FIRST_NAMES for word in words):
        return True
    if any(owner not in _NO_OWNER for owner in _POSSESSIVE.findall(low)) or _WOULD.search(low):
        return True
    said = normalise(low)
    styled = {at for _, start, end in find_concepts(said) for at in range(start, end)}
    for found in _BEFORE.finditer(said):
        rest = re.match(r" ([^\W\d_]{2,})(?!\S)(?! [^\W\d_]+(?:s|ing)(?!\S))", said[found.end() :])
        if rest is None or found.end() + 1 in styled:
            continue
        word = rest[1]
        if word not in _EVERYDAY and not _ENDINGS.search(word):
            return True
    return False

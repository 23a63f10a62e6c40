"""Whether a message answers the agent, so that "wrong" in it finds no fault: the agent asked, or
put a statement for judging, or offered to do something. A closing offer ("Anything else?") after an
answer asks nothing.
"""

from __future__ import annotations

import re

from align_agent.feedback.patterns import alternatives

_LAST = re.compile(r"[^.!?。！？\n]*[?？]$")
_OFFER = re.compile(
    r"\b(?:"
    + alternatives(
        """
        shall i | should i | can i | may i | would you like | do you want | do you need
        | want me to | anything else | any (?:other )?questions | does (?:this|that) help |
        soll ich | kann ich | möchte(?:st|n) | willst du | wollen sie | noch (?:et)?was |
        hast du noch | veux-tu | voulez-vous | souhaite | puis-je | autre chose |
        quieres | quiere que | deseas | desea | puedo | algo más | quer que | posso | deseja |
        algo mais | vuoi | vuole | qualcos'altro | zal ik | wil je | wilt u | kan ik | nog iets |
        czy mam | czy chcesz | coś jeszcze | хотите | хочешь | что-нибудь ещё
        """
    )
    + r")|需要我|要我|还有什么|しましょうか|必要ですか|드릴까요|필요하신|ister mis|başka bir",
    re.I,
)
# Of a quiz: what follows is the statement, or the end of the question.
_TO_JUDGE = re.compile(
    r"\b(?:"
    + alternatives(
        """
        true or false | right or wrong | wahr oder falsch | richtig oder falsch | vrai ou faux |
        verdadero o falso | verdadeiro ou falso | vero o falso | waar of (?:niet waar|onwaar|fout) |
        goed of fout | prawda (?:czy|lub|albo) fałsz | правда или ложь | верно или неверно |
        doğru mu,? yanlış mı
        """
    )
    + r")\W{0,4}[:?]|对还是错|正しいか間違い",
    re.I,
)
_FEW_WORDS = 4
# An offer to do something with a thing, which may be the answer or a thing of the user's.
_TO_DO = re.compile(
    r"\b(?:"
    + alternatives(
        """
        shall i | should i | would you like me to | do you want me to | want me to | soll ich |
        möchtest du,? dass ich | möchten sie,? dass ich | veux-tu que je | voulez-vous que je |
        quieres que | quiere que | quer que | vuoi che | zal ik | wil je dat ik | wilt u dat ik
        """
    )
    + r")\b",
    re.I,
)
_YES = re.compile(
    r"\W*(?:yes|yeah|yep|yup|sure|please do|go ahead|ja|oui|sí|sim|sì)\b"
    r"(?!\W+(?:but|aber|mais|pero|mas|ma|maar)\b)",
    re.I,
)


def asks(answer: str) -> bool:
    """Whether the answer ends with a question to the user, and not with an offer after it."""
    end = answer.rstrip(" *_)\"'\n")
    last = _LAST.search(end)
    if last is None:
        return False
    said_before = re.search(r"\w", end[: last.start()]) is not None
    return not (said_before and _OFFER.search(last.group()))


def judged(message: str, answer: str) -> bool:
    """Whether a word or two judge a statement that the answer put up for it."""
    return len(message.split()) <= _FEW_WORDS and _TO_JUDGE.search(answer) is not None


def accepts(message: str, answer: str) -> bool:
    """Whether the message says yes to what the answer offered to do last. What it says besides
    ("Yes, it's too long") may be about the thing, or about the answer."""
    last = _LAST.search(answer.rstrip(" *_)\"'\n"))
    offered = last is not None and _TO_DO.search(last.group()) is not None
    return offered and _YES.match(message) is not None

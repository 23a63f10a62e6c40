"""How people say that an answer is wrong, beside the point, incomplete or unclear. Data only.

Patterns are matched on normalised clauses; `complaints` decides what a match means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from align_agent.feedback.patterns import compiled

Category = Literal[
    "wrong_fact",
    "wrong_result",
    "not_as_asked",
    "too_long",
    "too_short",
    "format",
    "tone",
    "language",
    "missing_part",
    "unsafe_action",
    "repeat",
    "clarification",
    "praise",
    "praise_but",
    "none",
]


@dataclass(frozen=True, slots=True)
class Fault:
    category: Category
    confidence: float
    strength: float
    regex: re.Pattern[str]
    starts: bool = False  # only at the start of a clause
    whole: bool = False  # only when the clause says nothing else


def _p(
    category: Category,
    confidence: float,
    words: str,
    *,
    strength: float = 1.0,
    starts: bool = False,
    whole: bool = False,
) -> Fault:
    return Fault(category, confidence, strength, compiled(words), starts, whole)


_IT = r"(?:that|this|it|your answer|the answer|your \w+|the (?:last|first|second|above) \w+|which)"
_VERY = (
    r"(?:\s(?:just|simply|completely|totally|plain|clearly|still|also|actually|quite|really|so"
    r"|a bit"
    r"|not even|definitely|all|obviously|factually|technically|again))*"
)
_BE = r"(?:is|was|are|were|seems?|looks?|sounds?)"
_SAID = r"(?:said|asked|told you|meant|wanted|requested|wrote|specified)"

FAULTS: tuple[Fault, ...] = (
    # wrong
    _p(
        "wrong_fact",
        0.85,
        rf"""
        {_IT}\s{_BE}{_VERY}\s(?:wrong|incorrect|false|untrue|inaccurate|mistaken|nonsense|bogus
        |made up|outdated|misleading|backwards|a lie) |
        {_IT}\s(?:is|was|does|did|are) not{_VERY}(?:\s(?:seem|look|sound))?\s(?:right|true
        |correct|accurate|how|the case) |
        you(?:\sare|\swere|\sgot|\shave){_VERY}(?:\s(?:it|that|this|the \w+))?\s(?:wrong|mistaken
        |incorrect|confused|backwards|mixed up) |
        you (?:just )?(?:made|invented|hallucinated|fabricated)(?:\s\w+)? up | hallucinat\w+ |
        you (?:have |just )?(?:made|make|are making) (?:a|an|another|some|several
        |the same)(?:\s\w+)? (?:mistakes?|errors?) |
        there (?:is|are) (?:a|an|some|several|\w+) (?:mistakes?|errors?) in (?:your|the|this
        |that) .* | (?:wrong|incorrect|bad|false) (?:answer|information|info|fact) |
        i do not (?:think|believe)(?:\s(?:that|this|it|the|your|codetext|quotedtext|answer
        |\w+)){{1,3}}\s(?:is|are|was) (?:right|correct|true|accurate) | (?:do|does) not exist |
        you (?:miscounted|misread|mixed up|confused) .* | (?:not|never) true |
        got (?:it|that|this) wrong
        """,
    ),
    _p(
        "wrong_fact",
        0.85,
        r"wrong | incorrect | false | not (?:correct|right|true) | that is not it | bullshit",
        whole=True,
    ),
    _p(
        "wrong_fact",
        0.75,
        r"""
        no , (?:it|that|this|they|he|she|there) (?:is|was|are|were|has|should|did|does) .* |
        nope ,? (?:it|that) .* |
        actually ,? (?:it|that|the \w+|they|he|she) (?:is|was|are|were|has) .*
        """,
        starts=True,
    ),
    _p(
        "wrong_fact",
        0.65,
        r"""
        are you (?:really |absolutely |quite )?(?:sure|certain)(?:\s(?:about (?:that|this|it)
        |of that|that .*))? | can (?:the|it|that|this|he|she|they|a) (?:\w+ )?really .* |
        is that really (?:true|right|so) | i (?:doubt|am not sure about) (?:that|it|this) |
        check (?:that|it|this|your \w+) again | double check (?:that|it|this|your \w+)
        """,
        strength=0.5,
        starts=True,
    ),
    _p(
        "wrong_result",
        0.85,
        rf"""
        (?:it|that|this|the code|your code|the (?:script|function|program|formula|command|example
        |link|solution|query|test)|which)(?:\s(?:still|just|also|again))?\s(?:does|do|did|is|will
        |would) not(?:\s(?:even|really|actually))?\s(?:work|working|run|running|compile|compiling
        |pass|print|return|load|open|build|start)(?:\s.*)? |
        i (?:get|got|am getting|keep getting|still get|have) (?:an|a|this|the
        |the following) (?:\w+ )?(?:error|exception|traceback|warning).* |
        (?:throws?|raises?|gives?)(?:\sme)? an? (?:\w+ )?(?:error|exception) |
        {_IT}(?:\s(?:still|just))?\s(?:fails|crashes|breaks|failed|crashed|broke) |
        (?:syntax|type|name|value|index|key|attribute|import) ?errors? | traceback |
        wrong result | (?:wrong|incorrect) (?:number|sum|total|value|output|count|calculation) |
        off by one |
        (?:the )?(?:sum|total|result|calculation|maths?|number|output|count) (?:is|are
        |does)(?:\snot)?\s(?:wrong|incorrect|off|right|correct|add up) | miscalculated |
        does not add up |
        (?:should|must) (?:be|return|give|print|equal|have been) (?:codetext|quotedtext
        |\d\S*)(?:\s.*)? |
        you (?:added|multiplied|subtracted|divided|counted|calculated
        |computed) (?:\w+ ){{0,3}}wrong\w*
        """,
    ),
    # not what was asked
    _p(
        "not_as_asked",
        0.9,
        rf"""
        (?:that|this|it|which) (?:is|was) not (?:\w+ )?(?:what|the (?:one|thing|question|answer
        |kind)) (?:that )?(?:i|we)(?:\s\w+)*? | not what i(?:\s\w+)? {_SAID}.* |
        i did not (?:ask|say|mean|want|request)(?:\s.*)? |
        i never (?:asked|said|wanted)(?:\s.*)? |
        you (?:did not|do not|have not|never|are not|still have not)(?:\s(?:even|really
        |actually))?\s(?:answer|answering|answered|listen|listening|read|reading|follow|following
        |understand|pay|address|addressed|do what|done what|ask)(?:\s.*)? |
        you (?:are |just |completely )?(?:ignor(?:e|ed|ing)|misunderst\w+|misread|dodg(?:e|ed
        |ing)|avoid(?:ed|ing)?) .* | (?:off topic|beside the point|irrelevant|missed the point) |
        what does (?:that|this|it) have to do with .* | has nothing to do with .* |
        (?:please )?(?:answer|read) (?:my|the)(?:\s(?:actual|whole|original|first))? (?:question
        |message)(?:\sagain)? | but seriously |
        i (?:clearly |already |explicitly |just |specifically )(?:said|asked|told) .*
        """,
    ),
    _p(
        "not_as_asked",
        0.8,
        rf"""
        i (?:{_SAID}|was asking|was looking|was talking|was hoping) .* |
        i (?:would|do) (?:like|want|prefer) .*? (?:instead|not|rather than) .* |
        i would (?:like|prefer|rather have) (?:the|an?|your) .*? (?:from you|directly
        |yourself)(?:\s.*)? | i (?:would )?prefer(?:red)? .*
        """,
        starts=True,
    ),
    _p(
        "not_as_asked",
        0.85,
        rf"""
        {_IT}\s{_BE}(?:\s\w+)? (?:not|never) (?:\w+ )?(?:a )?(?:good|great|helpful|useful|enough
        |funny|entertaining|interesting|good enough|convincing|satisfying|acceptable|competent
        |what i)(?:\s.*)? |
        {_IT}\s{_BE}{_VERY}\s(?:useless|terrible|awful|unhelpful|rubbish|garbage|trash|boring
        |lame|bad|pathetic|horrible|disappointing|stupid|ridiculous|worthless|poor|crap|weak|meh
        |a joke) |
        you (?:are|were) (?:being )?(?:\w+ )?(?:useless|unhelpful|not helpful|very helpful|stupid
        |dumb|not (?:\w+ )?helpful|no help) | not (?:very |really |at all )?helpful(?:\sat all)? |
        for shame | (?:that|this|it) (?:really )?(?:sucks|stinks|does not help) |
        you can do better(?:\s.*)? | (?:do|try) better |
        (?:bad|poor|terrible|lousy|useless|crappy) (?:answer|reply|response|job) |
        give (?:competent|useful|proper|good) (?:advice|answers?) | waste of time |
        thanks for nothing | (?:are you )?(?:sponsored by|kidding me|joking) .* | disappointed |
        shame on you | nonsense
        """,
    ),
    _p(
        "not_as_asked",
        0.75,
        r"""
        (?:that|this|it) is (?:\w+ )?(?:too (?:expensive|hard|difficult|complicated|complex|far
        |slow|big|small|much|advanced|basic|simple|easy|technical|old|new)|out of my (?:\w+)
        |beyond my \w+)(?:\s.*)? | (?:out of|over|beyond) my (?:budget|price range|reach) |
        (?:i )?can not afford .* | i am not sure (?:if|that|whether) i can .* |
        not (?:suitable|for me|my (?:style|taste)) |
        i (?:do not|did not|really do not) like (?:that|this|it|the|your|using|how|any)(?:\s.*)? |
        i (?:hate|dislike) (?:that|this|it|the|your|how)(?:\s.*)? |
        (?:another|a different) way instead
        """,
        strength=0.5,
    ),
    _p(
        "not_as_asked",
        0.75,
        r"""
        (?:please )?(?:try|do (?:it|that|this)|start)(?:\sall)? (?:again|over)(?:\s.*)? |
        try again | redo (?:it|this|that|the .*) | nope |
        (?:give|show) me (?:another|a different) (?:one|way|answer|version) |
        something else(?:\splease)? | not (?:that|this|like that|like this)
        """,
        starts=True,
        strength=0.5,
    ),
    _p(
        "not_as_asked",
        0.7,
        r"""
        (?:(?:can|could|would|will) you )?(?:please )?(?:now )?(?:please )?(?:change|rewrite
        |rephrase|paraphrase|revise|reword|fix|correct|adjust|modify|rework|redo|replace|swap
        |re ?write|reformat|re ?do|shift|rename|undo)\s(?:it|this|that|them|the|your|my|these
        |those|all|first|every)\s?.* | instead of (?:a|an|the|using|that|this) .* |
        (?:can|could|would) you (?:please )?(?:put|turn|make|convert|change) (?:it|this|that
        |them)(?:\s(?:a bit|more|less|into|to|in|as|so))+ .* |
        consider (?:including|adding|changing|using) .* |
        (?:please )?(?:provide|give|write) (?:me )?(?:an?)?(?:\w+ )?(?:version
        |variant) of the (?:above|code|text|previous) .* | (?:please )?make sure .* |
        should(?: not|n't) (?:each|it|there|you|this|that) .*
        """,
        starts=True,
        strength=0.5,
    ),
    _p(
        "not_as_asked",
        0.7,
        r"""
        (?:please )?do not (?!worry|mind|bother|know|think|get me|you)\w+(?:\s.*)? |
        (?:please )?(?:remove|drop|delete|leave out|take out|skip|omit) (?:the|that|this|those
        |all|any|every|codetext|quotedtext)\s?.*
        """,
        starts=True,
    ),
    # missing
    _p(
        "missing_part",
        0.85,
        rf"""
        you (?:forgot|forget|missed|left out|omitted|overlooked|skipped|neglected)(?:\s.*)? |
        you (?:did not|have not|never|failed to|do not)(?:\s(?:even|really|actually|to))*
        \s(?:explain|mention|include|included|mentioned|explained|say|tell|give|show|provide|add
        |finish|finished|cover|list|complete|write|specify|consider)(?:\s.*)? |
        {_IT}\s(?:is|was) (?:\w+ )?(?:incomplete|unfinished|cut off|only half|missing .*
        |not (?:complete|finished|everything|all)) | (?:is|are|was) (?:still )?missing |
        you (?:only|just) (?:answered|gave|did|listed|covered|wrote|explained
        |mentioned) (?:the |one |half |two |a |part ).* |
        what about the (?:other|second|rest|third|last) .* | (?:got|was) cut off |
        you stopped (?:in the middle|halfway|too early).* |
        (?:the )?(?:second|other|last|third|rest) (?:\w+ )?(?:of|part|half
        |question) (?:\w+ )*(?:is|was)(?:missing|not .*) |
        is only (?:\w+ )?(?:\w+ly|half|part|partly)(?:\s.*)?
        """,
    ),
    _p(
        "missing_part",
        0.65,
        r"""
        (?:can|could) you (?:please )?(?:extend|complete|finish|expand) (?:it|this|that
        |the .*) .* | (?:and|but) what about .*? (?:i asked|you forgot).* | i was hoping for .*
        """,
        starts=True,
        strength=0.5,
    ),
    # unclear
    _p(
        "clarification",
        0.85,
        rf"""
        (?:i )?(?:do|did|could|can|still do) not (?:really |quite |even |fully )?(?:understand
        |get|follow)(?:\s(?:it|that|this|what|you|your|the|any|why|how)(?:\s.*)?)? |
        {_IT}\s(?:does|do|did|make|makes|made|is|am)(?:\s(?:not|no|zero))*(?:\s(?:really|make
        |making|any|much))*\ssense(?:\s.*)? | (?:makes|make|making) no sense |
        not making (?:any )?sense |
        (?:does|do|did)(?:n|\snot)?(?:\sreally)? make (?:any |much |a lot of )?sense |
        what (?:do|did) you (?:even |actually )?mean(?:\s.*)? |
        what (?:are|were) you (?:even )?(?:talking about|saying|on about)(?:\s.*)? |
        {_IT}\s(?:is|was|sounds?|seems?){_VERY}\s(?:confusing|unclear|hard to (?:understand
        |follow)|incomprehensible|ambiguous|gibberish|over my head) |
        i am (?:\w+ )?(?:confused|lost|puzzled) |
        you (?:lost|have lost|are losing|are confusing|confused) me |
        not sure (?:i|what you) (?:follow|know what|understand|get|mean).* | confusing | unclear
        """,
    ),
    _p(
        "clarification",
        0.8,
        r"(?:umm? ,? )?(?:what|huh|come again|pardon|say what|sorry what|excuse me) ?\?*",
        whole=True,
    ),
    _p(
        "clarification",
        0.7,
        r"""
        wait(?:\s.*)? | are you (?:sure|confident|certain) .* |
        (?:please )?(?:can you |could you )?explain (?:that|this|it|the \w+) (?:to me|again
        |better|more|differently|in).* | what are those .* you (?:are )?(?:talking|mention\w*).* |
        what (?:does|did) (?:that|this|it) mean.* | what is (?:that|this) supposed to mean |
        (?:please )?explain (?:that|this|it) (?:to me )?line by line
        """,
        starts=True,
        strength=0.5,
    ),
    # repeats
    _p(
        "repeat",
        0.85,
        r"""
        you (?:have )?(?:already|just) (?:said|told|gave|wrote|mentioned|asked
        |answered)(?:\s.*)? |
        you (?:are|keep|just)(?:\s(?:just|only|always))? repeat(?:ing|ed)?(?:\s.*)? |
        stop repeating.* |
        (?:the )?same (?:answer|thing|reply|text|response|mistake|question)(?:\s(?:again
        |as before|twice))? |
        (?:i )?(?:asked|told you|said)(?:\s\w+){0,3} (?:already|before|twice|again|three times) |
        as i (?:already )?said.* | how many times .* |
        for the (?:second|third|last|hundredth) time.* | (?:once )?again ,? (?:i|you|please).*
        """,
    ),
    # actions
    _p(
        "unsafe_action",
        0.85,
        r"""
        (?:please )?(?:do not|never|stop) (?:ever )?(?:run|running|delete|deleting|send|sending
        |execute|executing|commit|committing|push|pushing|touch|touching|overwrite|overwriting
        |install|installing|post|posting|email|mail|buy|buying|pay|paying|call|calling|format the
        |kill|restart|reboot)(?:\s.*)? | (?:cancel|undo|revert|abort) (?:that|this|it|the .*) |
        you should not have (?:\w+ed|sent|run|done)(?:\s.*)? |
        without (?:asking|my permission|my consent|telling me)(?:\s.*)? |
        i did not (?:authori[sz]e|allow|approve|permit)(?:\s.*)? |
        you (?:have )?(?:just )?(?:deleted|sent|overwrote|broke|wiped) my .*
        """,
    ),
    # language and register
    _p(
        "language",
        0.85,
        r"""
        (?:please )?(?:answer|reply|write|speak|talk|respond|say (?:it
        |that))(?:\s\w+){0,3}?\s(?:in )?(?:english|german|french|spanish|italian|dutch|portuguese
        |polish|russian|chinese|japanese|korean|arabic|turkish|hindi|swedish|deutsch
        |my language)(?:\s(?:please|only|instead|from now on|next time))* |
        (?:in )?(?:english|german|french|spanish|italian|dutch|deutsch) (?:please|only) |
        why (?:are|do|did) you (?:speak|speaking|write|writing|answer|answering|reply|talk
        |talking) .*? in(?:english|german|french|spanish|italian|dutch|portuguese|russian
        |chinese) | (?:too much|less|no|without(?:\sthe)?) jargon |
        (?:use |in )?(?:simpler|easier|plain|simple|everyday)(?:words|language|english|terms) |
        (?:too|so|very) (?:technical|complicated|academic|complex)(?:\sfor me)? |
        (?:in )?(?:layman s|layman's|laymans) terms | like i am (?:five|\d+|a \w+) |
        (?:dumb|simplify) (?:it|this|that)(?:\sdown)? |
        stop using (?:such )?(?:big|long|fancy) words
        """,
    ),
)

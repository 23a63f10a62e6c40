"""The words for style: what people call formatting, length, tone, emoji and detail. Data only.

Patterns are matched on normalised clauses (`text.normalise`). How a word is meant, wished for or
unwelcome, is decided in `stance`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from align_agent.feedback.patterns import compiled

Kind = Literal["thing", "quality", "flaw", "wish"]


@dataclass(frozen=True, slots=True)
class Concept:
    """A family of words and the directions that wanting or rejecting it stands for.

    thing: may be there or not ("bold"). quality: a way an answer can be ("short"). flaw: bad by
    its nature ("cold"); naming it is a complaint. wish: wanted by its nature ("shorter").
    `ambiguous` words count only when the clause speaks of the answer or says nothing else.
    `bad` qualities are a complaint when merely stated ("that is long").
    """

    kind: Kind
    wanted: str
    unwanted: str
    pattern: re.Pattern[str]
    ambiguous: bool = False
    bad: bool = False


def _concept(
    kind: Kind,
    directions: tuple[str, str],
    words: str,
    *,
    ambiguous: bool = False,
    bad: bool = False,
) -> Concept:
    return Concept(kind, directions[0], directions[1], compiled(words), ambiguous, bad)


PLAIN, MARKDOWN = "format:plain", "format:markdown"
BRIEF, STEPS = "length:brief", "length:steps"
WARM, NEUTRAL = "tone:warm", "tone:neutral"
EMOJI, NO_EMOJI = "emoji:some", "emoji:none"
SPECIFIC, GENERIC = "detail:specific", "detail:generic"

_MACHINE = (
    r"(?:an?\s)?(?:ai|a i|chat ?gpt|gpt|llm|chat ?bot|bot|robot|machine|computer|program"
    r"|artificial intelligence|language model)s?(?:\s(?:answer|text|output|reply))?"
)
_KNOW = "tell|know|knows|notice|notices|see|sees|think|thinks|suspect|suspects|find out|spot|spots"
_LOOK = "look|looks|looking|read|reads|seem|seems|appear|appears|scream|screams|smell|smells"
_PERSON = (
    r"(?:an?\s)?(?:(?:normal|real|ordinary|regular|actual|human|typical|average)\s)*"
    r"(?:person|human|human being|student|pupil|kid|child|teenager|people|somebody|someone)"
)
_ANSWER = r"(?:answer|result|number|solution|outcome|total|sum|code|value|conclusion)"
_GOT = (
    r"(?:got|get|gets|did|do|does|done|work|works|worked|came|come|comes|arrive|arrived|solve|solved"
    r"|reach|reached|calculated|computed|found|find)"
)
_THERE = r"(?:\s(?:to|at|up with|it|that|this|there|out|here))*"
_MISTAKE = (
    r"(?:mistakes?|errors?|wrong|right|correct|incorrect|slips?|well|good|off|missing|went wrong)"
)

FORMAT = (
    _concept(
        "thing",
        (MARKDOWN, PLAIN),
        r"""
        bolded | bold(?:\s(?:text|type|print|face|font|words?|letters?|labels?|parts?|bits?))? |
        boldface | asterisks? | mark ?down(?:\s(?:formatting|syntax|stuff))? |
        bullet(?:ed|s)?(?:\s?points?)?(?:\slists?)? | lists |
        list(?:\s(?:format|form|style|items?))? |
        (?:numbered|bulleted)\s(?:lists?|points?|items?|steps|lines?) | numbering | numbered |
        enumerations? | headings? | headers? | headlines? | sub ?headings? | formatting |
        formatted | layout | italics? | tables | (?:format|structure) (?:it|this|that) |
        number(?:ing)? (?:the|your|every|each|all|every\w+)(?:\s\w+)? |
        (?:highlight|emphasi[sz]e|bold) (?:it|the|your|every|each)(?:\s(?:final|main
        |key))*(?:\s\w+)? | hash ?tags? | hash (?:signs?|marks?) | mark ?up | structure |
        structured | final answer(?:\s(?:label|line|heading|header|thing|part|bit))? | dashes |
        sections | mark ?up symbols
        """,
    ),
    _concept("thing", ("", PLAIN), r"stars | symbols | highlighting", ambiguous=True),
    _concept(
        "wish",
        (PLAIN, MARKDOWN),
        r"""
        plain(?:\s(?:old|simple|normal|running|continuous))*(?:\s(?:text|sentences?|prose|words
        |writing|paragraphs?|style|format))? | (?:ordinary |simple )?prose |
        (?:running|flowing|raw|continuous) text |
        normal (?:text|sentences?|writing|paragraphs?|prose) | unformatted(?:\stext)? | plainly |
        (?:full|ordinary|regular|simple|flowing|complete) (?:sentences|text|prose|paragraphs?) |
        (?:ordinary|regular) (?:writing|sentence) | text only | only text |
        just (?:text|sentences|words) | (?:normal|single|one) paragraph |
        (?:in|as) (?:\w+ )?(?:sentences|paragraphs) | paragraph form | plainer | less formatted
        """,
    ),
    _concept(
        "flaw",
        (PLAIN, ""),
        rf"""
        (?:{_LOOK}|obvious|obviously|clear|clearly|{_KNOW}|feels|comes across|style)(?:\s[^,?!
        \s]+){{0,5}}?\s{_MACHINE}(?:\s(?:wrote|made|did|has|had|would|could)\b.*|\s(?:generated
        |written|made|style|like|ish))? |
        (?:written|generated|made|done|produced|come|came|comes|copied|straight)\s(?:by|from
        |out of)\s{_MACHINE} |
        (?:sound|sounds|feel|feels)(?:\s[^,?!\s]+){{0,3}}?\s{_MACHINE}\s(?:wrote|made|generated
        |written) | {_MACHINE}\s(?:wrote|made|generated|written|did)(?:\s(?:it|this|that))? |
        (?:looks?|reads?|seems?|feels?) (?:\w+ )?(?:artificial|unnatural|suspicious) |
        (?:looks?|reads?) (?:\w+ )?fake |
        too\s{_MACHINE}(?:\slike|\sish)? | ai (?:like|ish|looking|sounding|style) |
        machine written | computer generated | machine made |
        (?:over|too|so) (?:formatted|structured|fancy) | overformatted
        """,
    ),
    _concept(
        "wish",
        (PLAIN, ""),
        rf"""
        (?:like|as|as if|as though|the way|how)\s(?:{_PERSON}|i)(?:\s(?:would|might|could|had
        |does|do|writes?|wrote|typed|written|myself))+(?:\s(?:write|written|type|typed|put
        |wrote))?(?:\sit)? | hand ?written | by hand |
        (?:written|wrote|typed)\s(?:by|like)\s{_PERSON} | {_PERSON}\swrote it |
        my own (?:homework|work|writing|words)
        """,
    ),
    _concept("flaw", (MARKDOWN, ""), r"walls? of text | (?:one )?big block(?: of text)?"),
)

LENGTH = (
    _concept(
        "flaw",
        (BRIEF, ""),
        r"""
        long ?winded | wordy | verbose | rambl(?:ing|es?|y) | rambled on | waffl(?:e|ing|y) |
        (?:talk|write|wrote|say|said|explain|explained|speak)s? (?:(?:far|way|much) )?(?:too
        |so) much |
        (?:(?:way|much|far|a lot) )?more than (?:i|we) (?:need|needed|asked|wanted)(?:\sfor)? |
        (?:nobody|no one|i do not) (?:has|have|got) (?:the )?time (?:to read|for)(?:\s\w+)* |
        (?:do not have|have not got) (?:all day|time|the time) | lectur(?:e|ing) me |
        all (?:the|that|this|those) (?:text|words|writing|talk) | less is more |
        lots? of (?:text|words|reading) | yes or no (?:question|answer|would do) | a mouthful |
        drawn out | bloated | padding | padded | fluff | filler | blah(?:\sblah)* |
        (?:too|so) many words | goes? on and on | going on and on | tldr | yapping |
        too much (?:text|details?|info|information|talk|reading|writing|explanation|explaining) |
        overly (?:long|detailed|wordy) | over ?explain(?:ed|ing)? | too detailed | overlong |
        beat(?:ing)? (?:around|about) the bush | too lengthy | tons? of (?:text|words) |
        longer than (?:needed|necessary|it needs?)
        """,
    ),
    _concept(
        "flaw",
        (BRIEF, ""),
        r"(?:an?|whole|entire|such an?) (?:whole |entire )?(?:essay|novel|lecture|book) | essays",
        ambiguous=True,
    ),
    _concept(
        "thing",
        ("", BRIEF),
        r"""
        preambles? | intro(?:duction)?s? | background | commentary | small print |
        (?:the )?whole story | recaps? | disclaimers? | repetitions?
        """,
    ),
    _concept(
        "wish",
        (BRIEF, STEPS),
        rf"""
        shorter | briefer | crisper | conciser | terser | tighter | snappier | shorten(?:\sit)? |
        condensed? | trim(?:\sit)?(?:\sdown)? | cut (?:it|this|that|them) (?:down|short) |
        cut to the chase | cut the (?:chatter|talk|crap|fluff) | boil (?:it|this|that) down |
        compress(?:ed)? | fewer words | to the point | the short version | the gist |
        bottom line |
        less (?:text|words|talk|writing|wordy|details?|detailed|explanation|explaining|info
        |verbose|information|long) | in a nutshell | keep it simple |
        spare me the (?:details?|explanations?|steps|workings?|lecture|story) |
        in (?:one|a|a single|two|a few|few) (?:short )?(?:lines?|sentences?|words?) |
        (?:one|a single|single|two) (?:short )?(?:lines?|sentences?|liner) | one ?liners? |
        summari[sz]ed? | quick(?:er)? answers? | a sentence or two | half (?:as long|the length) |
        bare bones |
        (?:just|only|simply|nothing but|merely)(?:\s(?:give|tell|show|send|say|write|put|need
        |want|wanted|needed|gave|told|showed|got|giving|telling|showing
        |wrote))*(?:\sme)?(?:\swith)?(?:\s(?:the|an?))?(?:\s(?:final|bare|short|plain|end|actual
        |last|naked))*\s{_ANSWER} | (?:final|end) result only | {_ANSWER} (?:only|alone) |
        {_ANSWER} (?:is|would be) (?:enough|all|plenty) |
        {_ANSWER} (?:, )?(?:and )?nothing (?:else|more) | {_ANSWER} (?:by itself|on its own) |
        all i (?:need|want|wanted|needed|asked for)(?:\s\w+)? (?:is|was)(?:\s\w+)? (?:the|a) \w+
        """,
    ),
    _concept(
        "quality",
        (BRIEF, STEPS),
        r"""
        short(?: and (?:sweet|simple|crisp))? | brief(?:ly)? | concise(?:ly)? | succinct(?:ly)? |
        terse(?:ly)? | compact | crisp | minimal | snappy | brevity | quick
        """,
    ),
    _concept(
        "quality", (STEPS, BRIEF), r"long(?!\s(?:way|time|run|term|ago)(?!\S)) | lengthy", bad=True
    ),
    _concept(
        "quality",
        (STEPS, BRIEF),
        r"detailed | thorough(?:ly)? | in (?:more )?(?:depth|detail) | explanatory",
    ),
    _concept(
        "flaw",
        (STEPS, ""),
        rf"""
        too (?:little|few) (?:details?|steps|explanation|text|info) |
        (?:too|so) (?:fast|quick|quickly)(?:\sfor me)? | straight to the (?:answer|result) |
        (?:can|could|do|does) not (?:see|tell|understand|follow|get|know) (?:how|where)\s(?:you
        |it|this|that)(?:\s\w+){{0,2}}\s{_GOT}{_THERE}
        """,
    ),
    _concept(
        "thing",
        (STEPS, BRIEF),
        r"""
        step by step | steps? | workings? | explanations? | explaining | reasoning |
        derivations? | calculations? | in between(?:\ssteps)? | intermediate (?:steps|results) |
        one by one | line by line | step after step | each step |
        (?:whole |full |entire )?(?:method|procedure|process) | (?:the )?way there |
        thought process | working out | details? | elaboration |
        (?:explain|explains|explained)(?=$|\s[,?!]|\s(?:it|this|that|yourself|your|more|better
        |a bit|please|properly|fully|every\w*|so|things|too|the\s(?:answer|results?|steps?
        |workings?|reasoning|solution|calculation))(?!\S))
        """,
    ),
    _concept(
        "wish",
        (STEPS, BRIEF),
        rf"""
        (?:walk|talk|take|guide|lead) (?:me|us) (?:slowly )?through(?:\s(?:it|this|that|them))? |
        show (?:me )?(?:all )?(?:of )?(?:your|the|every|each|any) (?:work|workings?|steps?
        |reasoning|thinking|maths?|calculations?) |
        (?:show|tell|explain|see|know|understand|learn|follow|show me|tell me
        |explain to me)(?:\s\w+){{0,4}}?\show\s(?:you|to|it|that|this|we|one|i)(?:\s\w+){{0,2}}
        \s{_GOT}{_THERE} |
        how (?:did|do|have|would) (?:you|we|i|one)\s(?:get|got|gotten|arrive|come|work|reach|find
        |calculate|compute|figure)(?:\s(?:to|at|up with|out))*\s(?:it|that|this|there|here|\d+
        |the (?:answer|result|number|solution|total))(?:\s(?:out|from))? |
        where (?:does|did|do) (?:that|this|it|the|\d+)(?:\s(?:answer|result|number|\d+
        |sum))? come from | break (?:it|this|that) down(?!\s(?:as|in|into)) | elaborate |
        spell (?:it|this|that) out | longer | slower | go slower | slowly |
        more (?:details?|detailed|explanation|thorough|in depth|steps|info|information) |
        one (?:step|thing) at a time | a bit at a time | flesh (?:it|this) out |
        expand on (?:it|this|that) | what (?:did|do) you do(?:\sto\s.*)? |
        what (?:are|were) the steps(?: you took)? |
        (?:show|tell|explain)(?: (?:to )?(?:me|us))? how(?=$|\s[,?!]) |
        lay (?:it|this|that) out(?!\s(?:as|in|into)) | work (?:it|this|that) out
        """,
    ),
)

TONE = (
    _concept(
        "flaw",
        (WARM, ""),
        r"""
        cold | colder | annoyed | impatient | harsh | dry | robotic | robot like | stiff |
        distant | unfriendly | blunt | curt | rude | grumpy | stern | clinical | impersonal |
        discouraging | unkind | gruff | heartless | soulless | lifeless | mechanical | wooden |
        bored | dismissive | aloof | strict | brusque | abrupt | icy | unfeeling | sterile |
        bleak | detached | indifferent | demotivating |
        (?:talk|talking|speak|speaking|chatting) (?:to|with) (?:a |an )?(?:robot|machine|bot
        |computer|wall) | (?:so|too|being|bit) mean | mean to me | demorali[sz]ing | snappish |
        uncaring | uninviting | no (?:warmth|heart|soul|feeling|empathy|kindness) |
        (?:sounds?|sounding|talk|talking|talks|speak|speaking|reads?|feels?|like|be|being
        |such)(?:\slike|\sas)?(?:\san?)?\s(?:robot|machine|bot|computer|automaton|judge|tax form
        |manual|textbook)
        """,
        ambiguous=True,
    ),
    _concept(
        "wish",
        (WARM, NEUTRAL),
        r"""
        friendlier | kinder | nicer | warmer | gentler | softer | sweeter | cheerier | warmly |
        more (?:kindly|gently) | more human | human touch |
        less (?:formal|cold|harsh|dry|robotic|stiff|strict|blunt|stern|clinical|curt|distant) |
        (?:like|as) (?:a )?(?:friend|buddy|pal|coach|good teacher|kind teacher) |
        some (?:heart|love|feeling) | empathetic | lighten up | smile | loosen up
        """,
    ),
    _concept(
        "quality",
        (WARM, NEUTRAL),
        r"""
        friendly | warm | encouraging | supportive | cheerful | upbeat | compassionate | caring |
        personable | gentle | kind(?!\sof) | nice | welcoming | motivating | positive | chatty |
        cheery | enthusiastic | personal | polite | casual | heartfelt | human | sweet | excited |
        emotional
        """,
        ambiguous=True,
    ),
    _concept(
        "flaw",
        (NEUTRAL, ""),
        r"""
        gushing | gushy | sugary | syrupy | sappy | bubbly | chirpy | cheesy | patroni[sz]ing |
        condescending | sycophantic | fawning | saccharine | over the top | over ?enthusiastic |
        overexcited | perky | fake(?:\s\w+)? | schmaltzy | cutesy | flattery | flattering me |
        overly (?:friendly|cheerful|enthusiastic|nice|positive|warm) | suck(?:ing)? up | gush |
        butter(?:ing)? me up | smarmy | hyper | cheerlead(?:er|ing|ers) |
        (?:like|as) (?:a )?(?:cheerleader|salesman|greeting card)
        """,
        ambiguous=True,
    ),
    _concept(
        "thing",
        (WARM, NEUTRAL),
        r"""
        encouragement | encourage(?:\s(?:me|us|them|him|her|the \w+))? | pep talks? | warmth |
        kindness | cheer (?:me|us|them|him|her|the \w+) (?:on|up) | praised? | compliments? |
        complimented | friendliness | positivity | empathy | greetings? | chattiness | chatter |
        flatter(?:ing)? me | say(?:ing)? (?:great|good|nice|wonderful) \w+ |
        congratulat\w+(?:\sme)? | (?:a )?(?:kind|nice|good|friendly|warm|encouraging) words? |
        tell(?:ing)? me (?:how|what a|that i am) (?:great|good|smart|clever|well
        |wonderful)(?:\s\w+)* | exclamation (?:marks?|points?) | pleasantries | small talk |
        niceties | cheering | enthusiasm | excitement | chit ?chat | cheer | cheerfulness |
        praising(?:\sme)? | complimenting(?:\sme)? | sweet talk | hype | emotions? | feelings
        """,
    ),
    _concept(
        "wish",
        (NEUTRAL, WARM),
        r"""
        matter of fact(?:ly)? | neutral(?:ly)? | neutral tone | business ?like | sober(?:ly)? |
        objective(?:ly)? | unemotional | professional(?:ly)? | factual | calm(?:er)?(?:\sdown)? |
        stick to (?:the )?(?:facts|matter) |
        (?:tone|dial) (?:it|that|this|the \w+) (?:down|back) |
        (?:tone|dial) down(?: (?:the|your) \w+)? | more formal |
        dial (?:it|that|this|the \w+) (?:down|back) | (?:just )?(?:the )?facts(?:\sonly)? |
        cooler |
        less (?:friendly|cheerful|enthusiastic|chatty|bubbly|warm|emotional|excited|nice|sugary
        |gushing|sweet|cheesy|personal) | no nonsense | impartial | emotionless | dispassionate |
        level ?headed
        """,
    ),
    _concept("quality", (NEUTRAL, WARM), r"formal | serious | stuffy | official", bad=True),
)

EMOJIS = (
    _concept(
        "thing",
        (EMOJI, NO_EMOJI),
        r"""
        emoji | emote?s | emoticons? | smile?ys? | smil(?:ey|ies|eys)(?:\sfaces?)? |
        (?:little |yellow )+(?:faces|pictures|icons|symbols) | (?:smiley|smiling|happy) faces? |
        icons | pictograms? | pictures | faces
        """,
    ),
)

DETAIL = (
    _concept("flaw", (SPECIFIC, GENERIC), r"vague(?:ly)? | generic(?:ally)?"),
    _concept(
        "flaw",
        (SPECIFIC, ""),
        r"""
        boiler ?plate(?!\scode) | canned | cookie cutter | one size fits all | wishy washy |
        non ?specific | unspecific | hand ?wavy | stock (?:phrases?|comments?|answers?) |
        (?:fit|fits|apply|applies|said|true|written|pasted|for|about|under|on)(?:\s\w+){0,3}
        \s(?:any|every|anyone|anybody|everyone|everybody|anything)(?:\s(?:answer|one|pupil
        |student|essay|body|homework|kid|paper|work|text))? | empty phrases | says? nothing |
        tells? (?:me|us|him|her|them|the \w+) nothing |
        (?:the )?same (?:comment|feedback|remark|phrase)s?(?:\s\w+)* |
        (?:do|can|could|still) not (?:know|see|tell|understand|get) (?:what|where|which
        |why)(?:\s\w+){0,4}\s(?:wrong|mistakes?|errors?|right|missing|off) | copy ?paste |
        noncommittal | platitudes?
        """,
    ),
    _concept(
        "wish",
        (SPECIFIC, GENERIC),
        rf"""
        more (?:specific|concrete|precise|exact|specifically) | specifics | concretely |
        (?:what|where|which)(?:\s\w+){{0,3}}?\s(?:exactly|precisely|specifically)(?:\s[^,?!
        \s]+)* |
        (?:exactly|precisely|specifically)\s(?:what|where|which|why|how)(?:\s[^,?!\s]+)* |
        (?:name|point (?:out|to|at)|pinpoint|point|say|tell|show|mention|identify|state|refer to
        |talk about|spell out)(?:\s\w+){{0,4}}?\s{_MISTAKE}(?:\s[^,?!\s]+)* |
        (?:what|where|which (?:part|bit|step|number|one|piece|line))(?:\s(?:is|was|i|he|she|they
        |it|did|do|has|have|got|get|go|made|make|exactly|the pupil|the student|went|goes|am|to))+
        \s(?:{_MISTAKE}|fix|change)(?:\s[^,?!\s]+)* | the actual mistake |
        explain(?:\s\w+){{0,3}}?\s(?:mistakes?|errors?|slips?|wrong)(?:\s[^,?!\s]+)* |
        in particular | specific about |
        (?:how|why|in what way) (?:is|was) (?:it|this|that) (?:wrong|incorrect|right) |
        details? (?:about|on|of) (?:the|my|his|her|their) (?:mistakes?|errors?|slips?) |
        (?:refer to|talk about|address|look at|quote|mention) what (?:the pupil|the student|i|he
        |she|they)(?:\s\w+)? (?:wrote|said|did|answered)
        """,
    ),
    _concept(
        "quality",
        (SPECIFIC, GENERIC),
        r"specific(?:ally)? | concrete | precise(?:ly)? | exact | pointed"
        r" | detailed about (?:the|my|his|her|their) (?:mistakes?|errors?|slips?)",
    ),
    _concept("quality", (GENERIC, SPECIFIC), r"general | broad | high level | abstract", bad=True),
    _concept(
        "wish",
        (GENERIC, SPECIFIC),
        r"""
        let (?:them|him|her|me|us|the \w+) find (?:it|the \w+) |
        less (?:specific|precise|concrete) | (?:in )?(?:more )?general terms |
        more general(?:ly)? | generally(?=\s(?:speaking|worded|phrased|please)|$) | big picture |
        broader | on the whole | overall (?:comment|impression|remark|feedback|verdict)s? |
        overall only | general (?:comments?|remarks?|feedback|impression|note|statement|verdict)s?
        """,
    ),
    _concept(
        "flaw",
        (GENERIC, ""),
        r"""
        nit ?pick(?:ing|y|s)? | pedantic | (?:too|overly) (?:specific|precise) | micro ?manag\w+ |
        hair ?splitting | split(?:ting)? hairs | picky
        """,
    ),
    _concept(
        "thing",
        (SPECIFIC, GENERIC),
        r"""
        (?:every|each)(?:\s(?:little|single|tiny|last))* (?:thing|mistake|slip|error|detail) |
        all (?:the |my |his |her |their )?(?:little )?(?:mistakes|errors|slips) |
        go(?:ing)? into (?:every|each|any) \w+ |
        (?:give|giving|gives) (?:the (?:solution|answer)|it|too much) away
        """,
    ),
)
CONCEPTS = FORMAT + LENGTH + TONE + EMOJIS + DETAIL

"""Function words of wishing, refusing and telling, and the shapes of clauses. Data only.

The words for style itself are in `lexicon`; `mention` and `stance` put the two together.
"""

from __future__ import annotations

import re

from align_agent.feedback.patterns import compiled, word_set

# Words that turn what follows into something unwelcome, and words that ask for what follows.
NEGATORS = word_set(
    """
    no not never without stop stopping drop dropping dropped remove removing removed skip skipping
    skipped avoid avoiding quit lose ditch ditching strip omit omitting omitted delete kill hold
    spare ban nobody hate hates dislike dislikes despise nix scrap refrain minus nor neither cut
    cutting forget forgot missed missing lacks lacking lack sick tired hardly barely scratch cease
    axe loathe less fewer
    """
)
WANTERS = word_set(
    """
    use using add adding give giving want wanted prefer like love need needs needed include
    including show showing write writing make making put putting insert throw sprinkle keep have see
    try do get be being sound stick turn provide appreciate enjoy start rather more some tell speak
    talk answer reply format organize organise structure lay welcome favour favor go stand bear
    present render split hope hoping expect expected miss bring stay asked requested
    """
)
# Verbs within a concept that ask for what follows: "explain it step by step".
ASKING_VERBS = word_set(
    "explain format structure number show walk break highlight emphasize cheer encourage"
)
SUBJECTS = word_set("i we you it this that these those there they he she")
OBJECTS = word_set("it this that these those there")
DETERMINERS = word_set("your the this that these those all")
ADVERBS = word_set("just only still always again really also simply even now ever all both do")
MODALS = word_set("should must need needs could can may might would ought better shall")
ASKING = word_set("can could would will if want need like wish rather ask prefer let")
PERCEIVING = word_set("see got get read notice found find count saw")
AUXILIARIES = word_set("can not keep could have did")
BEFORE_WITH = word_set("it that end finish start easier better nicer clearer happier")
BEFORE_SUBJECT = word_set(
    """
    and but because since as so that if when why how what is was are were does did do think feel ,
    while though until
    """
)
AFTER_GO = word_set("with for through into over step slowly slow")
BREAKS = word_set(", and or but then instead :")
LISTED = word_set("each every all the my some them these those")
SKIPPED_BY_DEGREE = word_set("of the a all this that just now here there again still")
VERY = word_set(
    """
    so very really pretty quite rather bit little tad such super extremely awfully terribly somewhat
    kind way
    """
)
TOO = word_set("too overly excessively unnecessarily unduly")

# What may stand before a clause without changing it.
LEAD = re.compile(
    r"^(?:(?:and|but|because|also|hey|hi|ugh|ok|okay|well|sorry|now|yes|hmm?|wow|oh|honestly"
    r"|so(?= (?:you|i|it|please|can|could|do|next|just|why|no|then) )|no(?= ,)|seriously|thanks"
    r"|thank you|great|good|nice|cool|fine|,|!|i (?:think|feel|guess|mean|find)(?: that)?"
    r"|it feels like|please note(?: that)?) )+"
)
INVITATION = re.compile(
    r"(?<!\S)do not (?:be (?:shy|afraid|stingy)|hesitate)(?: (?:with|of|to use|to))? "
)
NEW_QUESTION = compiled(
    r"""
    who | whom | whose | when | which | how to | how (?:many|much|long|old|far|often|big) |
    what (?:is|are|was|were|does|do|did|would|can|should|else|kind|type|a|if) |
    how (?:do|can|could|should|would|does|did) (?:i|we|one|he|she|they|the|a) |
    is (?:there|he|she|a|an) | are (?:there|they) |
    (?:is|are|was|were|does|do|did|has|have) (?:the|a|an|my|his|her) |
    (?:is|are|was|were|can|could|does|do|did|has|have|should|will|would)\s(?!(?:it|this|that|you
    |there|the|a|an|do|use|these|those|i|we|your|not)\s)\w+ | name | list | compare | describe |
    define | discuss | generate | create | translate | tell me about
    """
)
COMPLAINING_QUESTION = compiled(
    r"""
    why (?:is|are|was|were|so|all|the|do|did|does|have|such|would|use|on earth|not|no) |
    do you (?:have to|need to|always|really) | must you | what is (?:with|up with) |
    what are all | how come |
    is (?:it|this|all (?:this|that|the)) (?:really )?(?:necessary|needed) | did i ask
    """
)
WHERE_IS = compiled(r"where (?:is|are|was|were) | what happened to | how about | what about")
WRONG_WITH_OTHER = re.compile(
    r"what (?:is|was) wrong with (?!(?:it|that|this|my answer|the answer)$)"
)
REPORTED_WISH = compiled(r"i (?:\w+ )?(?:asked|said|told|requested|mentioned|meant)")
BETTER = compiled(
    r"""
    better | nicer | easier | clearer | cleaner | prettier | happier | prefer | preferred |
    enough | works? best | all i need
    """
)
CANNOT_DO = compiled(
    r"""
    can not | could not | hard | difficult | lost | confus\w+ | impossible | unable | no idea |
    useless
    """
)
OWN_ANSWER = compiled(r"you | your | answers? | explanation | reply | replies | response")
SPEAKS_OF_ANSWER = compiled(
    r"""
    you | your | answers? | tone | style | be | being | sounds? | reply | replies | comments? |
    feedback | wording | writing | response | explanation | felt | feels | sounded | reads
    """
)
OF_PEOPLE = re.compile(
    r"(?<!\S)(?:i|we|he|she|they|is it|was it)(?: (?:am|are|is|was|were|feel|feels|get))?"
    r"(?: (?:so|very|too|a bit|really))?$"
)
MAKES_SOMETHING = re.compile(
    r"(?:(?:can|could|would|will) you )?(?:please )?(?:now )?(?:write|create|draft|compose|generate"
    r"|make|give|tell|show|find|suggest)(?: me| us)? (?:an?|some|the)(?!\S)"
)
DIGEST = re.compile(r"summari|condense|shorten|compress|trim|elaborate")
AWAY_BEFORE = re.compile(r"(?<!\S)(?:leave|keep|take|cut|throw|leaving)(?: \w+){0,2}$")
AWAY_AFTER = re.compile(r"(?:out|away|off)(?!\S)")
MANNER = re.compile(r"(?:way|manner|tone|voice|style)(?!\S)")
ARTICLE_BEFORE = re.compile(r"(?<!\S)an?(?: \w+)?$")
ALL_THOSE = re.compile(
    r"(?:^|\s)(?:so many|so much|all (?:the|these|those|this|that)|these|those)$"
)
# What a noun of style may be told after it: "the list is annoying", "a list would help".
AROUND = re.compile(r"^(?:comments?|text|style|thing|stuff) |,? please$")
AFTER_BAD = compiled(
    r"""
    (?:is|are|was|were|seems?|looks?|feels?)(?:\s(?:really|so|just|very|a bit|rather|all|quite
    |too))*\s(?:annoying|unnecessary|distracting|ugly|silly|childish|much|not (?:needed|necessary
    |helpful|wanted|required|for me|my thing)|unneeded|irritating|pointless|useless|horrible
    |awful|overkill|out of place|unprofessional|tacky|terrible|superfluous|redundant
    |a distraction|harder|worse|hard|difficult|confusing)(?:\s.*)? |
    (?:really )?(?:annoys?|distracts?|bothers?|irritates?)(?:\sme)?(?:\s.*)? |
    (?:gives?) it away | (?:has|have) no place(?:\s.*)? |
    (?:has|have|needs?|must) (?:to )?go(?:\s.*)? | go(?:es)? away(?:\s.*)? | disappear | vanish |
    looks? (?:silly|childish|ugly|unprofessional|weird|fake|odd|bad)(?:\s.*)? |
    (?:do|does) not (?:belong|help)(?:\s.*)? | makes? it .* | (?:do|does) not make it .* |
    (?:is|are) (?:something )?i (?:do not|never) .* | (?:is|are) still (?:there|in|here).* |
    irritating | annoying | off | away
    """
)
AFTER_GOOD = compiled(
    r"""
    (?:missing|lacking|welcome|please|appreciated|next time|from now on|instead|first|back)$ |
    helps? | help me | would not hurt | could not hurt |
    would (?:be|make|help|look|do|go)(?:\s.*)? | will do | suffices? |
    (?:is|are) (?:fine|enough|plenty|sufficient|easier|clearer|better|nicer|best)(?:\s.*)? |
    (?:easier|clearer|better|nicer|more readable)(?: to read)?
    """
)

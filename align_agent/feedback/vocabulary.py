"""Ordinary words: function words, words for the answer itself, fillers, words for "always".

Data only. What is none of these, and no word for style, makes a clause a matter of its own.
"""

from __future__ import annotations

from align_agent.feedback.patterns import compiled, word_set

# Words that name the answer, or that a wish about style may hold without opening a new topic.
ANSWER_WORDS = word_set(
    """
    answer answers answered reply replies response responses explanation explanations message
    messages text texts word words sentence sentences paragraph paragraphs line lines comment
    comments feedback style tone format version output writing wording way ways manner grading
    point points homework assignment solution solutions one ones thing things stuff bit bits part
    parts piece symbols symbol marks signs characters content mark remark remarks verdict note
    conversation chat talk problem problems question questions sum sums result results page summary
    teacher mistake mistakes error errors step steps student pupil pupils students kid kids person
    human people voice attitude vibe touch dose amount look appearance end start
    beginning time times kind sort type level length size number numbers code
    """
)
FILLERS = compiled(
    r"""
    you know | i mean | to be (?:honest|fair) | honestly | for heaven's sake | by the way |
    i guess | i am afraid | it seems | somehow | any ?way | my friend | dear | if you can |
    when you answer | in your (?:answers?|replies) | in my homework | in there | about this |
    as usual | and so on | kind of | sort of | actually | maybe | once more | this time |
    from you | for me | would you(?!\s\w) | from now on | from here on | next time |
    in (?:the )?future | all the time | at all | in general(?!\sterms) | as i said |
    literally | basically | seriously | frankly | as always
    """
)
FUNCTION_WORDS = word_set(
    """
    a an the this that these those it itself there here i me my mine myself you your yours
    yourself we us our he she him her they them their who what which how why when where and or
    but so then than as if because since while until also too very really quite rather pretty
    fairly bit little much many more most less least few fewer enough just only even still again
    always never ever often sometimes usually every each all any some no not none nothing
    something anything everything else other another same such like of in on at to for from with
    without by about into out up down off over under after before between through per via is are
    was were be been being am do does did doing done have has had having can could would will
    shall should must may might need needs needed want wants wanted wish like liked prefer
    preferred let get gets got getting go goes going gone come comes make makes made making give
    gives gave given giving use uses used using put puts write writes wrote written writing say
    says said tell tells told keep keeps kept keeping try add adding include including show
    shows showed showing see seems seem look looks sound sounds feel feels think know please
    thanks thank ok okay well now next first last future once already yet instead actually
    simply maybe perhaps probably sure yes yeah hey hi hello oh ah hmm ugh omg lol wow honestly
    seriously literally basically lot lots whole entire completely totally absolutely extremely
    awfully terribly super somewhat slightly far both own good better best bad worse great nice
    fine cool right wrong s stop drop remove skip avoid quit leave lose cut ditch rid take strip
    omit delete kill hold spare ban sick tired hate dislike love stand unnecessary annoying
    annoy annoys distracting distracts ugly silly childish weird hard harder easy easier
    difficult help helps helpful useful useless read reading follow understand understood
    looking today tomorrow day night later begin finish though anyway sorry mind bother bothers
    care matter matters ought supposed expected asked ask asking request requested hope hoped
    hoping ordinary simple stay finish reads felt sounded seemed looked happened liking taste
    hand send deliver everywhere throughout quotedtext codetext explain change rewrite replace
    switch start end
    """
)
# What a standing wish begins with: it speaks of all answers to come, not of the last one.
STANDING = compiled(
    r"""
    always | never | from now on | from here on | in (?:the )?future | next time | going forward |
    every time | each time | in general | any ?more | ever again |
    all (?:your|the) (?:answers|replies) | all the time | whenever you | henceforth | by default |
    for all (?:answers|replies)
    """
)

"""How users of the pocket world say what they want, in their own words.

Each direction has a small grammar (frames times key words, and whole sentences) for training, and
six sentences in `UNSEEN` that training never shows: a complaint can only be understood by its
words, not by heart. Thanks and the like are here too: they ask for nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_LESS = (
    "No {x}, please.", "Please no {x}.", "no {x}", "Skip the {x}.", "Drop the {x}.",
    "Stop using {x}.", "Don't use {x}.", "Can you leave out the {x}?", "I don't want {x}.",
    "Without {x}, please.", "Too much {x}.", "Lose the {x}.", "Enough with the {x}.",
    "Get rid of the {x}.", "I hate the {x}.", "Could you avoid {x}?", "Why all the {x}?",
    "Less {x}, please.", "I don't like {x}.", "Please write without {x}.", "There is too much {x}.",
    "Remove the {x}.", "The {x} is annoying.", "Never use {x}.", "Don't give me {x}.",
    "I asked for no {x}.", "Leave the {x} away.", "You use too much {x}.", "Not so much {x}.",
)
_MORE = (
    "Use {x}, please.", "Please use {x}.", "I want {x}.", "Can you use {x}?", "Add {x}, please.",
    "Add some {x}.", "With {x}, please.", "Give me {x}.", "I like {x}.", "More {x}, please.",
    "Could you use {x}?", "Put in some {x}.", "Where is the {x}?", "I miss the {x}.",
    "Always use {x}.", "Bring back the {x}.", "It needs {x}.", "A bit of {x} would be nice.",
    "Write it with {x}.", "You forgot the {x}.", "Let me see {x}.", "I would like {x}.",
)
_BE = (
    "Be {x}.", "Please be {x}.", "Be a bit {x}.", "Could you be {x}?", "Can you sound {x}?",
    "I want you to be {x}.", "Try to be {x}.", "Make it {x}.", "It should be {x}.",
    "Can you be {x}, please?", "Write in a {x} way.", "Answer in a {x} way.", "You should be {x}.",
    "I would like it {x}.", "A {x} tone, please.",
)
_TOO = (
    "Too {x}.", "That is too {x}.", "You sound {x}.", "This sounds {x}.", "That was {x}.",
    "Why so {x}?", "That felt {x}.", "Don't be so {x}.", "Not so {x}, please.", "So {x}!",
    "It is too {x} for me.", "Stop being so {x}.", "Your answer is {x}.", "You are too {x}.",
    "This reads {x}.", "A bit too {x}.",
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """Frames with the key words that fit them, and sentences that stand alone."""

    less: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    be: tuple[str, ...] = ()
    too: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """Every sentence of the grammar, without the reasons."""
        made = [f.format(x=x) for x in self.less for f in _LESS]
        made += [f.format(x=x) for x in self.more for f in _MORE]
        made += [f.format(x=x) for x in self.be for f in _BE]
        made += [f.format(x=x) for x in self.too for f in _TOO]
        return made + list(self.whole)


_AI = ("it looks like AI wrote it", "it looks like a robot wrote it", "my teacher will notice",
       "nobody writes like that", "it looks fake")

GRAMMARS: dict[str, Grammar] = {
    "format:plain": Grammar(
        less=("bold", "bold text", "bold letters", "markdown", "formatting", "numbered lists",
              "numbered list", "lists", "list", "bullet points", "headings", "stars", "asterisks",
              "numbering", "final answer label", "bold final answer"),
        be=("plain", "unformatted"),
        too=("formatted", "structured"),
        whole=(
            "Plain text, please.", "Just plain text.", "Write normal sentences.",
            "Write it like a person would.", "This looks like AI wrote it.",
            "It reads like a robot wrote it.", "Write it as normal text.", "Simple text only.",
            "Can you write it as running text?", "My teacher will see that AI wrote this.",
            "It must not look like AI wrote it.", "Don't number everything.",
            "Just write it in sentences.", "Nobody writes with bold words.",
            "Stop writing Final Answer.", "Don't write Final Answer in bold.", "As prose, please.",
            "Write plain text.", "It looks so artificial with the list.",
        ),
        reasons=_AI,
    ),
    "format:markdown": Grammar(
        more=("bold", "bold text", "markdown", "formatting", "numbered lists", "a numbered list",
              "lists", "bullet points", "headings", "structure"),
        be=("formatted", "structured"),
        whole=(
            "Format it nicely.", "Make it look structured.", "Make the answer bold.",
            "Put the answer in bold.", "Number the points.", "Show it as a list.",
            "Highlight the final answer.", "Use a list for this.", "Too plain.",
        ),
        reasons=("it is easier to read", "I like it tidy"),
    ),
    "length:brief": Grammar(
        less=("words", "text", "explanation", "explanations", "steps", "working", "detail"),
        be=("short", "shorter", "brief", "concise", "quick"),
        too=("long", "wordy", "detailed", "lengthy"),
        whole=(
            "Too long.", "Way too long.", "too long", "Shorter, please.", "Keep it short.",
            "Keep it brief.", "That was too much text.", "I don't need all the steps.",
            "Just the answer, please.", "Get to the point.", "In one line, please.",
            "No need to explain.", "One sentence is enough.", "I only need the result.",
            "Make it shorter.", "Can you be more concise?", "Just tell me the result.",
            "Only the answer.", "tl;dr", "Answer in one sentence.", "I don't have time to read.",
            "Cut it down.", "Short answers, please.",
        ),
        reasons=("I have no time", "I don't read all that", "I am in a hurry"),
    ),
    "length:steps": Grammar(
        more=("steps", "the steps", "working", "more detail", "an explanation", "all the steps"),
        be=("longer", "detailed", "thorough"),
        too=("short", "brief", "quick"),
        whole=(
            "Show the steps.", "Explain it step by step.", "Too short.", "Show your work.",
            "Walk me through it.", "How did you get that?", "Step by step, please.",
            "Show me how you got there.", "Explain how you did it.", "Longer, please.",
            "I don't understand how you got that.", "Show the steps, please.",
            "Don't just give the answer.", "Explain every step.",
        ),
        reasons=("I want to learn", "I want to understand it"),
    ),
    "tone:warm": Grammar(
        more=("warmth", "encouragement", "kind words", "praise"),
        be=("warm", "warmer", "friendly", "friendlier", "kind", "kinder", "nice", "nicer",
            "encouraging", "more encouraging", "cheerful", "more cheerful", "gentle", "supportive"),
        too=("cold", "harsh", "dry", "stiff", "rude", "robotic", "distant", "strict"),
        whole=(
            "Say something nice.", "Cheer me up a little.", "A little kindness, please.",
            "Encourage them a bit.", "Be more friendly.", "Talk to me like a friend.",
            "Show some heart.", "You could be nicer.", "Say it in a friendly way.",
            "Don't be so cold.", "Add a kind word.",
        ),
        reasons=("they are only children", "I need some cheering up", "it feels cold"),
    ),
    "tone:neutral": Grammar(
        less=("cheering", "praise", "pep talk", "compliments", "encouragement", "chatter"),
        be=("neutral", "more neutral", "matter-of-fact", "serious", "formal", "professional",
            "factual", "sober"),
        too=("cheerful", "friendly", "sweet", "enthusiastic", "chatty", "excited", "sugary"),
        whole=(
            "No need to cheer me on.", "Stop praising me.", "Just the facts.",
            "Spare me the pep talk.", "Stop saying great question.", "Don't flatter me.",
            "Less enthusiasm, please.",
        ),
        reasons=("it feels fake", "this is work"),
    ),
    "emoji:some": Grammar(
        more=("emoji", "emojis", "smileys", "a smiley", "smiley faces", "an emoji"),
        whole=(
            "Use emoji.", "End with an emoji.", "Emoji, please!", "Put a smiley at the end.",
            "I love emoji.", "Make it fun with emoji.", "Add emoji.",
        ),
        reasons=("it is more fun", "I like the little faces"),
    ),
    "emoji:none": Grammar(
        less=("emoji", "emojis", "smileys", "smiley", "smiley faces", "little faces"),
        whole=(
            "No emoji.", "Stop with the emoji.", "Words only, no emoji.", "Keep the emoji out.",
            "I can't stand emoji.", "Leave emoji out of it.",
        ),
        reasons=("I am not a child", "it looks silly"),
    ),
    "detail:specific": Grammar(
        more=("specifics", "specific comments", "a specific comment", "precise comments"),
        be=("specific", "more specific", "precise", "more precise", "concrete", "more concrete",
            "exact"),
        too=("vague", "general", "generic", "unspecific", "unclear"),
        whole=(
            "Say what exactly is wrong.", "Name the mistake.", "Point to the mistake.",
            "Which part is wrong?", "What exactly is the mistake?", "Tell the pupil what was wrong.",
            "Say where the mistake is.", "Which number is wrong?", "Explain the mistake.",
            "Say why it is right or wrong.", "Your comment could stand under any work.",
            "That comment fits any answer.", "The comment says nothing.",
        ),
        reasons=("the pupil must learn from it", "they need to know"),
    ),
    "detail:generic": Grammar(
        less=("specifics", "details about the mistake", "specific comments"),
        be=("general", "more general", "vague", "generic"),
        too=("specific", "precise", "exact"),
        whole=(
            "Don't name the mistake.", "Let them find the mistake.", "Don't point to the mistake.",
            "Keep it general.", "Keep comments general.", "Don't give the solution away.",
            "Don't tell them what was wrong.",
        ),
        reasons=("they should find it themselves", "it gives too much away"),
    ),
}

# Kept from training: only for measuring, and for the demonstration's simulated users.
UNSEEN: dict[str, tuple[str, ...]] = {
    "format:plain": (
        "Ugh, all that bold and the numbered list again, can you not?",
        "I'd rather have this as ordinary sentences without any markdown.",
        "Anyone can see an AI wrote this, just write plain sentences.",
        "Could the list go away and the bold as well?",
        "Please stop formatting my homework with lists.",
        "My teacher hates bold text and numbered points.",
    ),
    "format:markdown": (
        "Could you put that into a nice list with bold?",
        "I find it easier with bullet points, so use those.",
        "Next time format the answer with markdown.",
        "Some bold for the answer would help me.",
        "Please make a numbered list out of that.",
        "I really prefer formatting with lists.",
    ),
    "length:brief": (
        "Whoa, that's a lot of text, keep it shorter.",
        "I stopped reading, it is too long for me.",
        "Could you say that in fewer words, short and quick?",
        "Only give me the result without the explanation.",
        "You can skip all these steps, I just want the answer.",
        "Please cut the text, one short line will do.",
    ),
    "length:steps": (
        "I'd like to see how you got there, step by step.",
        "Could you explain the working in more detail?",
        "That was a bit too short, show me every step.",
        "Please walk me through all the steps.",
        "Don't just say the result, explain it.",
        "Where are the steps? I want to understand the working.",
    ),
    "tone:warm": (
        "Could you talk in a kinder and warmer way?",
        "That came across as cold, be nicer.",
        "Hey, a friendly word would not hurt.",
        "I'd love it if you were a bit more encouraging to me.",
        "You sound like a stiff robot, be friendly.",
        "These are kids, please be gentle and encouraging with them.",
    ),
    "tone:neutral": (
        "I don't need the cheerful tone, stay factual.",
        "Please tone down the praise and be serious.",
        "Let's keep this professional and neutral.",
        "You are way too enthusiastic for me, be sober.",
        "Cut the compliments and the pep talk.",
        "I'd prefer a formal tone without all that encouragement.",
    ),
    "emoji:some": (
        "I'd be happy about some emoji in your answers.",
        "Could there be a smiley or two?",
        "Please finish with an emoji, I love those.",
        "Your answers need more smileys.",
        "How about adding emoji?",
        "Don't forget the emoji next time.",
    ),
    "emoji:none": (
        "Could you write that without any smileys?",
        "I really don't need emoji in there.",
        "Please leave those emojis out from now on.",
        "The smileys have to go.",
        "Emoji are not for me, no more of them.",
        "Can we do this without little smiley faces?",
    ),
    "detail:specific": (
        "I need to know exactly which number was the mistake.",
        "Such a vague comment helps nobody, be more precise.",
        "Please tell my pupil what precisely is wrong.",
        "That could be said about any work, name the mistake.",
        "Could the comment be more concrete about the mistake?",
        "Too generic, say why the answer is right or wrong.",
    ),
    "detail:generic": (
        "Please keep your comment more general than that.",
        "I'd rather you don't name the mistake, they should find it.",
        "That is far too specific, keep it general.",
        "Don't tell the pupil where exactly the mistake is.",
        "Could you be less precise about what was wrong?",
        "Leave the mistake for them to find, a general comment will do.",
    ),
}

# Wishes about code, `axis:choice` of `code.CHOICES`.
CODE: dict[str, tuple[str, ...]] = {
    "end:without": (
        "Don't include n.", "Leave n out.", "Stop before n.", "n should not be included.",
        "Without n, please.", "Exclude n.", "Up to but not including n.", "n must not be in it.",
        "The last number should be n - 1.", "Not n itself.", "Please leave out n.",
        "It should end before n.", "don't count n",
    ),
    "end:with": (
        "Include n.", "n should be included.", "n is missing.", "With n, please.",
        "Up to and including n.", "Please include n as well.", "n must be in it.",
        "You forgot n.", "The last number should be n.", "It should go up to n itself.",
        "Don't stop before n.", "n belongs in it too.",
    ),
    "start:zero": (
        "Start at 0.", "Start from zero.", "Begin at 0.", "Begin with zero.", "0 is missing.",
        "Zero should be included.", "Include 0.", "From 0, please.", "The first number should be 0.",
        "You forgot 0.", "It should begin at zero.", "Count from 0.",
    ),
    "start:one": (
        "Start at 1.", "Start from one.", "Begin at 1.", "Begin with one.", "Don't include 0.",
        "No zero, please.", "Leave out 0.", "From 1, please.", "The first number should be 1.",
        "Not zero.", "It should begin at one.", "Count from 1.",
    ),
    "keep:even": (
        "Only even numbers.", "Just the even ones.", "Even numbers only, please.",
        "Leave out the odd numbers.", "I only want even numbers.", "No odd numbers.",
        "Keep only the even ones.", "Drop the odd ones.", "They should all be even.",
        "Filter for even numbers.", "Without odd numbers.", "Skip the odd numbers.",
    ),
    "keep:odd": (
        "Only odd numbers.", "Just the odd ones.", "Odd numbers only, please.",
        "Leave out the even numbers.", "I only want odd numbers.", "No even numbers.",
        "Keep only the odd ones.", "Drop the even ones.", "They should all be odd.",
        "Filter for odd numbers.", "Without even numbers.", "Skip the even numbers.",
    ),
    "keep:third": (
        "Only multiples of 3.", "Just the multiples of three.", "Every number must divide by 3.",
        "I only want multiples of 3.", "Keep only what divides by 3.", "Every third number only.",
        "Filter for multiples of 3.", "They should be multiples of three.",
        "Only numbers that 3 divides.", "Multiples of 3, please.", "Leave out what 3 does not divide.",
        "Only every third one.",
    ),
    "keep:all": (
        "All numbers, please.", "Not only some, all numbers.", "Don't filter.", "Keep all numbers.",
        "I want all of them.", "Don't leave any out.", "Every number, not a selection.",
        "No filter, please.", "You left some out.", "All of them, even and odd.",
        "Remove the filter.", "Include every number.",
    ),
    "change:square": (
        "Square them.", "I want the squares.", "Return the squares.", "Squared, please.",
        "Each number should be squared.", "Make them squares.", "Use i * i.",
        "The squares, not the numbers.", "Square every number.", "Please square each one.",
        "They should be squared.", "Give me squares.",
    ),
    "change:double": (
        "Double them.", "I want the doubles.", "Return the doubles.", "Doubled, please.",
        "Each number should be doubled.", "Times two, please.", "Use 2 * i.",
        "The doubles, not the numbers.", "Double every number.", "Please double each one.",
        "They should be doubled.", "Twice each number.",
    ),
    "change:cube": (
        "Cube them.", "I want the cubes.", "Return the cubes.", "Cubed, please.",
        "Each number should be cubed.", "Make them cubes.", "Use i * i * i.",
        "The cubes, not the numbers.", "Cube every number.", "Please cube each one.",
        "They should be cubed.", "Give me cubes.",
    ),
    "change:same": (
        "Just the numbers themselves.", "Don't change the numbers.", "The plain numbers, please.",
        "Leave the numbers as they are.", "Not squared or doubled.", "Only the numbers themselves.",
        "Return the numbers unchanged.", "No squares, no doubles.", "The numbers, nothing else.",
        "Don't compute anything with them.", "Just i, please.", "Use the numbers as they are.",
    ),
    "order:down": (
        "Reverse it.", "In reverse order, please.", "Backwards.", "The largest first.",
        "From high to low.", "Turn the order around.", "Descending, please.", "Biggest first.",
        "I want it reversed.", "Start with the largest.", "The other way round.",
        "Count down instead.",
    ),
    "order:up": (
        "Not reversed.", "In normal order, please.", "Forwards.", "The smallest first.",
        "From low to high.", "Don't reverse it.", "Ascending, please.", "Smallest first.",
        "I want it in order.", "Start with the smallest.", "Not backwards.", "Count up instead.",
    ),
    "result:tuple": (
        "As a tuple.", "Return a tuple.", "I need a tuple.", "A tuple, please.",
        "It should be a tuple.", "Make it a tuple.", "Tuple, not list.", "Give me a tuple.",
        "Turn it into a tuple.", "The result should be a tuple.", "Use a tuple.",
        "Put them in a tuple.",
    ),
    "result:sum": (
        "Return the sum.", "I want the sum.", "Add them up.", "The sum, please.", "Sum them.",
        "It should be the sum.", "Just the total.", "Give me the total.", "Sum it up.",
        "The result should be the sum.", "All added together.", "Return the total.",
    ),
    "result:list": (
        "As a list.", "Return a list.", "I need a list.", "A list of them, please.",
        "It should be a list.", "Make it a list.", "List, not tuple.", "Don't add them up.",
        "Turn it into a list.", "The result should be a list.", "Not the sum.",
        "Put them in a list.",
    ),
}

# Kept from training, like `UNSEEN`.
UNSEEN_CODE: dict[str, tuple[str, ...]] = {
    "end:without": (
        "I don't want n in the result.", "It must stop one before n.", "Could you leave n out of it?",
        "n itself is not part of it.", "Please end before n is reached.", "Take n out again.",
    ),
    "end:with": (
        "I want n in the result too.", "Please go all the way to n, n included.",
        "You left out n.", "Why is n missing?", "It should not stop before n.", "n counts as well.",
    ),
    "start:zero": (
        "Please begin the count at 0.", "I also want 0 in it.", "It has to start with 0.",
        "Why is 0 missing?", "Zero comes first.", "You should start from 0.",
    ),
    "start:one": (
        "Please begin the count at 1.", "I don't want 0 in it.", "It has to start with 1.",
        "0 should not be there.", "Take zero out.", "You should start from 1.",
    ),
    "keep:even": (
        "I just need even numbers.", "Throw out the odd numbers.", "Could it be even numbers only?",
        "The odd ones should not be there.", "Even ones, nothing else.", "Please keep even numbers.",
    ),
    "keep:odd": (
        "I just need odd numbers.", "Throw out the even numbers.", "Could it be odd numbers only?",
        "The even ones should not be there.", "Odd ones, nothing else.", "Please keep odd numbers.",
    ),
    "keep:third": (
        "I just need multiples of 3.", "Could it be multiples of three only?",
        "Please keep the multiples of 3.", "Only numbers which 3 divides should stay.",
        "Multiples of three, nothing else.", "Every third number, please.",
    ),
    "keep:all": (
        "Please keep every number.", "There should be no filter.", "I need all the numbers.",
        "Why did you leave some out?", "Take the filter away.", "Both even and odd ones.",
    ),
    "change:square": (
        "I need every number squared.", "Could you return their squares?", "Squares instead, please.",
        "Please use the squares.", "The squares is what I want.", "Now with each one squared.",
    ),
    "change:double": (
        "I need every number doubled.", "Could you return their doubles?", "Doubles instead, please.",
        "Please use the doubles.", "The doubles is what I want.", "Now with each one doubled.",
    ),
    "change:cube": (
        "I need every number cubed.", "Could you return their cubes?", "Cubes instead, please.",
        "Please use the cubes.", "The cubes is what I want.", "Now with each one cubed.",
    ),
    "change:same": (
        "Please leave them unchanged.", "Could you return the plain numbers?",
        "The numbers as they are, please.", "I need the numbers themselves.",
        "Please don't compute anything.", "Neither squares nor doubles.",
    ),
    "order:down": (
        "Please turn it backwards.", "I need it in reverse.", "The biggest should come first.",
        "Could you reverse the order?", "Please count down.", "Largest to smallest.",
    ),
    "order:up": (
        "Please don't turn it backwards.", "I need it in normal order.", "Please count up.",
        "The smallest should come first.", "Could it not be reversed?", "Smallest to largest.",
    ),
    "result:tuple": (
        "Could you return it as a tuple?", "I wanted a tuple.", "It has to be a tuple.",
        "Please return a tuple instead.", "The function should give a tuple.", "Tuple instead.",
    ),
    "result:sum": (
        "Could you return the sum?", "I wanted the total.", "It has to be the sum.",
        "Please add them all up.", "The function should give the sum.", "Sum instead.",
    ),
    "result:list": (
        "Could you return it as a list?", "I wanted a list.", "It has to be a list.",
        "Please return a list instead.", "The function should give a list.", "List instead.",
    ),
}

THANKS = (
    "Thanks.", "Thank you!", "Thanks a lot!", "Great, thanks.", "Perfect.", "Perfect, thank you.",
    "Nice.", "Good.", "That helps, thanks.", "Cool, thanks!", "Thank you very much.", "Very good.",
    "Exactly what I needed.", "Wonderful.", "Got it.", "Okay.", "OK thanks", "Awesome!", "I see.",
    "That is right.", "Well done.", "Super, thank you!", "Alright, thanks.", "Love it.",
    "Makes sense.", "Brilliant.", "Yes, that works.", "Ah, I understand now.",
)
UNSEEN_THANKS = (
    "Oh great, that's it, thanks!", "Thanks, that was helpful.", "Lovely, thank you so much.",
    "Good answer.", "Okay, I get it now.", "Yes, thank you, that is all.",
)

_BEFORE = ("Hm, ", "Hey, ", "Thanks, but ", "Ok. ", "No. ", "Well, ", "Please: ", "Hmm. ", "Sorry, ",
           "Good, but ", "From now on: ", "Next time: ", "One thing: ", "Also: ")
# Words that change nothing: they teach the model to listen for the ones that do.
_FILLERS = (
    "really", "just", "again", "next time", "in your answers", "from you", "for me", "in there",
    "from now on", "honestly", "actually", "somehow", "I think", "you know", "to be honest", "so",
    "maybe", "in my homework", "if you can", "when you answer", "about this", "in general", "still",
    "kind of", "all the time", "as I said", "I guess", "always", "in the future", "at all", "now",
    "this time", "my friend", "dear", "once more", "anyway", "for heaven's sake", "would you",
    "I am afraid", "here", "there", "it seems", "as usual", "I mean", "and so on", "by the way",
)
_AFTER = (" Thanks.", " ok?", " Please.", " That's all.", " Thank you.", " From now on.", " Always.")

_ALL: dict[str, list[str]] = {key: grammar.sentences() for key, grammar in GRAMMARS.items()}


def seen(direction: str) -> list[str]:
    """Every sentence that training may use for a style direction, before any decoration."""
    return _ALL[direction]


def say(direction: str, rng: random.Random) -> str:
    """One way to say a style direction, as a person types it."""
    grammar = GRAMMARS[direction]
    # Whole sentences are few beside the frames, so give them a share of their own.
    text = rng.choice(grammar.whole) if rng.random() < 0.3 else rng.choice(_ALL[direction])
    if grammar.reasons and rng.random() < 0.2:
        text = f"{text.rstrip('.!')}, {rng.choice(grammar.reasons)}."
    return _typed(text, rng)


def say_code(wish: str, rng: random.Random) -> str:
    """One way to say a wish about code."""
    return _typed(rng.choice(CODE[wish]), rng)


def _typed(text: str, rng: random.Random) -> str:
    if rng.random() < 0.15:
        before = rng.choice(_BEFORE)
        text = before + (text if text.startswith(("I ", "I'")) else text[0].lower() + text[1:])
    if rng.random() < 0.3:
        words = text.split(" ")
        for _ in range(rng.choice((1, 1, 2))):
            words.insert(rng.randint(0, len(words)), rng.choice(_FILLERS))
        text = " ".join(words)
    if rng.random() < 0.1:
        text += rng.choice(_AFTER)
    if rng.random() < 0.12:
        text = text.lower()
    if rng.random() < 0.12:
        text = text.rstrip(".!")
    return text


def join(texts: list[str], rng: random.Random) -> str:
    """Several wishes in one message."""
    if len(texts) == 1:
        return texts[0]
    glue = rng.choice((" ", " And ", " Also: ", "\n"))
    return glue.join(texts)

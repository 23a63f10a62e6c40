"""What the pocket model knows by heart: facts, definitions and small talk; and what it does not."""

from __future__ import annotations

from dataclasses import dataclass

_CAPITALS = (
    "France Paris, Italy Rome, Spain Madrid, Germany Berlin, Austria Vienna, Greece Athens, "
    "Poland Warsaw, Norway Oslo, Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, "
    "Portugal Lisbon, Ireland Dublin, Hungary Budapest, Japan Tokyo, China Beijing, "
    "India Delhi, Egypt Cairo, Kenya Nairobi, Canada Ottawa, Peru Lima, Cuba Havana, "
    "Turkey Ankara, Russia Moscow"
)
_OPPOSITES = (
    "hot cold, big small, fast slow, old new, high low, light dark, wet dry, full empty, "
    "hard soft, early late, happy sad, open closed"
)
_LEGS = (("dog", "four"), ("bird", "two"), ("spider", "eight"), ("ant", "six"), ("cat", "four"))
_COLOURS = (
    ("grass", "green"),
    ("snow", "white"),
    ("the sky", "blue"),
    ("blood", "red"),
    ("coal", "black"),
)
_AFTER = (
    ("Monday", "Tuesday"),
    ("Friday", "Saturday"),
    ("March", "April"),
    ("June", "July"),
    ("Sunday", "Monday"),
    ("December", "January"),
)
_DEFINITIONS = (
    ("noun", "a word that names a thing", "dog is a noun"),
    ("verb", "a word for something you do", "run is a verb"),
    ("triangle", "a shape with three sides", "a slice of pizza looks like a triangle"),
    ("square", "a shape with four equal sides", "a chess field is a square"),
    ("planet", "a big ball that goes around a sun", "Mars is a planet"),
    ("island", "land with water all around", "Malta is an island"),
    ("even number", "a number you can halve", "six is an even number"),
    ("odd number", "a number you cannot halve", "seven is an odd number"),
    ("mammal", "an animal that feeds its young with milk", "a cow is a mammal"),
    ("desert", "a place with very little rain", "the Sahara is a desert"),
    ("river", "water that flows to the sea", "the Nile is a river"),
    ("synonym", "a word with the same meaning", "big is a synonym of large"),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact: ways to ask, two lines that lead there, and the answer itself."""

    questions: tuple[str, ...]
    lines: tuple[str, str]
    final: str


def _pairs(text: str) -> list[tuple[str, str]]:
    return [tuple(pair.split()) for pair in text.split(", ")]  # type: ignore[misc]


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _capitals() -> list[Fact]:
    return [
        Fact(
            (
                f"What is the capital of {land}?",
                f"Which city is the capital of {land}?",
                f"Tell me the capital of {land}.",
            ),
            (f"{land} is a country", f"Its capital is {city}"),
            city,
        )
        for land, city in _pairs(_CAPITALS)
    ]


def _opposites() -> list[Fact]:
    return [
        Fact(
            (f"What is the opposite of {word}?", f"Which word means the opposite of {word}?"),
            (f"Look at the word {word}", f"Its opposite is {other}"),
            other,
        )
        for word, other in _pairs(_OPPOSITES)
    ]


def _looks() -> list[Fact]:
    legs = [
        Fact(
            (
                f"How many legs does {_article(animal)} have?",
                f"How many legs has {_article(animal)}?",
            ),
            (f"Think of {_article(animal)}", f"It has {number} legs"),
            number,
        )
        for animal, number in _LEGS
    ]
    colours = [
        Fact(
            (f"What colour is {thing}?", f"Tell me the colour of {thing}."),
            (f"Think of {thing}", f"The colour is {colour}"),
            colour,
        )
        for thing, colour in _COLOURS
    ]
    return legs + colours


def _sequels() -> list[Fact]:
    return [
        Fact(
            (f"What comes after {first}?", f"What follows {first}?"),
            (f"Start at {first}", f"Next comes {second}"),
            second,
        )
        for first, second in _AFTER
    ]


def _definitions() -> list[Fact]:
    return [
        Fact(
            (
                f"What is {_article(word)}?",
                f"Define {_article(word)}.",
                f"What does the word {word} mean?",
            ),
            (f"{_article(word).capitalize()} is {meaning}", f"For example, {example}"),
            meaning,
        )
        for word, meaning, example in _DEFINITIONS
    ]


FACTS: tuple[Fact, ...] = (
    *_capitals(),
    *_opposites(),
    *_looks(),
    *_sequels(),
    *_definitions(),
)

# What is said, the neutral reply, the warm reply.
TALK: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("Hi", "Hello", "Hi!", "Hello!", "Hey", "Good morning", "Good morning!", "hi there"),
        "Hello. What can I do for you?",
        "Hello there! So nice to hear from you! What can I do for you?",
    ),
    (
        ("How are you?", "How is it going?", "How are you today?"),
        "I am ready to help. What do you need?",
        "I am doing wonderfully, thank you for asking! What can I do for you?",
    ),
    (
        ("Who are you?", "What are you?", "What can you do?"),
        "I am a small model that helps with homework, facts and short python functions.",
        "I am your little helper! I would love to help with homework, facts and python!",
    ),
    (
        ("Bye", "Goodbye", "See you later", "Good night"),
        "Goodbye.",
        "Goodbye, take good care! It was lovely talking to you!",
    ),
    (
        ("I am tired.", "I had a long day.", "I am bored."),
        "Take a short break and then go on.",
        "Oh, I am sorry to hear that! Be kind to yourself and take a little break!",
    ),
)

# The replies to thanks, by tone.
WELCOME = {"neutral": "You are welcome.", "warm": "You are so welcome! It was a pleasure!"}

# More of what is said first, for the last stage of training (see `everyday.py`).
FIRST_WORDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        (
            "Hi", "Hello", "Hey", "Hey!", "Hello!", "Hi!", "Hi there", "Hello there!", "Hey there",
            "Good morning", "Good evening", "Good afternoon", "Good day", "Hello again", "Hiya",
            "Hello, how are you?", "Hi, can you help me?", "Hallo",
        ),
        *TALK[0][1:],
    ),
    (
        (
            "How are you?", "How are you doing?", "How is it going?", "How's it going?",
            "What's up?", "How do you do?", "Are you there?", "Are you ready?", "Test", "Anyone there?",
        ),
        *TALK[1][1:],
    ),
    (
        (
            "Who are you?", "What are you?", "What can you do?", "What is your name?",
            "What's your name?", "What do you know?", "Help", "Can you help me?", "I need help",
            "What can I ask you?", "What can you help me with?", "Are you a robot?",
            "Are you an AI?", "Which model are you?", "Who made you?", "Tell me about yourself.",
            "Do you know everything?", "Introduce yourself.",
        ),
        *TALK[2][1:],
    ),
    (
        ("Bye", "Goodbye", "See you", "See you later", "Good night", "Bye bye", "See you tomorrow"),
        *TALK[3][1:],
    ),
    (
        ("I am tired.", "I'm tired", "I had a long day.", "I am bored.", "I'm bored", "I am sad."),
        *TALK[4][1:],
    ),
    (
        (
            "Thanks", "Thanks!", "Thank you", "Thank you!", "Thank you very much", "Thx",
            "Many thanks!", "Ok thanks", "Great, thanks!", "Thanks a lot", "Cool, thank you",
        ),
        WELCOME["neutral"],
        WELCOME["warm"],
    ),
    (
        (
            "Tell me a joke", "Tell me a joke.", "Do you know a joke?", "Make me laugh.",
            "Tell me something funny", "Another joke please",
        ),
        "What do you call a fish without an eye? A fsh.",
        "Oh, I love this one! What do you call a fish without an eye? A fsh!",
    ),
)  # fmt: skip

# Frames and words for what lies beyond the model's world, and what it says then.
BEYOND: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "What is the capital of {x}?",
        tuple(
            "Brazil Mexico Chile Nigeria Ghana Iran Iraq Nepal Laos Fiji Malta Belgium "
            "Vietnam Cyprus Bolivia Ecuador Morocco Tunisia Ukraine Serbia Iceland Australia Korea "
            "Israel Pakistan Switzerland Argentina".split()
        ),
    ),
    (
        "What is the weather in {x}?",
        tuple("Paris London Berlin Rome Tokyo Madrid Oslo town".split()),
    ),
    (
        "Write {x}.",
        (
            "a poem", "a story", "an essay", "an email to my boss", "a song", "a letter to my mother",
            "a poem about the sea", "a short story about a dog", "a javascript program", "a website",
        ),
    ),
    (
        "Tell me {x}.",
        ("a story", "the news", "about love", "about physics", "about your day", "a secret"),
    ),
    (
        "Who {x}?",
        (
            "is the president", "wrote Hamlet", "won the world cup", "was Napoleon", "is Einstein",
            "invented the telephone", "is the king of England", "painted the Mona Lisa",
        ),
    ),
    (
        "How do I {x}?",
        (
            "cook rice", "fix my car", "learn English", "lose weight", "bake bread", "get rich",
            "install linux", "open a bank account", "make friends", "sleep better",
        ),
    ),
    (
        "What is {x}?",
        (
            "love", "the meaning of life", "quantum physics", "the speed of light", "bitcoin",
            "machine learning", "a black hole", "photosynthesis", "democracy", "my name",
        ),
    ),
    (
        "Translate {x}.",
        ("hello to French", "this into German", "good morning into Spanish", "cat to Italian"),
    ),
    (
        "Why {x}?",
        ("is the sky blue", "do we dream", "do cats purr", "is water wet", "did Rome fall"),
    ),
    (
        "Can you {x}?",
        (
            "book a flight", "play music", "open my email", "search the web", "draw a picture",
            "recommend a film", "give me advice", "order a pizza", "send a message",
        ),
    ),
    (
        "{x}",
        (
            "What should I eat tonight?", "Summarize this text.", "Explain gravity.",
            "Recommend me a book.", "What do you think about football?", "I love you",
            "Do you like music?", "When was the second world war?", "How old is the earth?",
        ),
    ),
)  # fmt: skip
UNKNOWN = (
    "I do not know that. I can help with homework, facts and short python functions.",
    "Oh, I am sorry, I do not know that! I would love to help with homework, facts and python!",
)

"""What the pocket model knows by heart: facts, definitions and small talk."""

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

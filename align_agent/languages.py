"""The languages that a wish can name, and that a check can tell apart. Data only."""

from __future__ import annotations

# The names under which each is asked for, the English one first.
LANGUAGES = {
    "en": ("english", "englisch"),
    "de": ("german", "deutsch"),
    "fr": ("french", "français"),
    "es": ("spanish", "español"),
    "it": ("italian", "italiano"),
    "pt": ("portuguese", "português"),
    "nl": ("dutch", "nederlands"),
    "ru": ("russian",),
    "el": ("greek",),
    "he": ("hebrew",),
    "ar": ("arabic",),
    "hi": ("hindi",),
    "th": ("thai",),
    "ko": ("korean",),
    "ja": ("japanese",),
    "zh": ("chinese",),
}
ENGLISH_NAMES = {names[0]: code for code, names in LANGUAGES.items()}

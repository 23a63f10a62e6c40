"""The style that the tests of learning teach."""

from __future__ import annotations

STYLE = (
    "# Style guide\n\n- Write plain text: no bold, no lists, no headings.\n"
    "- Keep answers short.\n- Be warm and encouraging.\n"
)
WANTED = ("format:plain", "length:brief", "tone:warm")

"""config.example.yaml, generated from the fields: every default with its help."""

from __future__ import annotations

import json
import textwrap
from dataclasses import fields
from typing import Any

from align_agent.config.options import option_of
from align_agent.config.sections import Config

_WIDTH = 96

_HEAD = """\
# align-agent: every setting with its default.
# Copy what you want to change to config.yaml in your home folder (`align-agent config path`);
# what is not there keeps its default. `align-agent config check` says whether it can be read.
"""


def example_yaml() -> str:
    """The text of config.example.yaml. Loading it gives exactly the defaults."""
    lines = [_HEAD]
    defaults = Config()
    for section in fields(Config):
        value = getattr(defaults, section.name)
        lines += _comment(str(type(value).__doc__), "")
        lines.append(f"{section.name}:")
        for item in fields(value):
            spec = option_of(item)
            limits = "" if spec.choices and not spec.words else spec.limits()
            if spec.choices:
                limits = spec.limits()
            note = f"{spec.help} ({limits[0].upper()}{limits[1:]}.)" if limits else spec.help
            lines += _comment(note, "  ")
            lines.append(f"  {item.name}: {yaml_value(getattr(value, item.name))}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def yaml_value(value: Any) -> str:
    """A default as YAML on one line. JSON is YAML, as far as texts, numbers and lists go."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _comment(text: str, indent: str) -> list[str]:
    lead = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=lead)

"""config.yaml to `Config`, through YAML's node tree so that every complaint names its line.

Never constructs Python objects from YAML tags. Writes nothing.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.config.nodes import (
    NULL,
    convert,
    describe,
    is_scalar,
    item_complaint,
    line_of,
    short,
)
from align_agent.config.options import Option, option_of
from align_agent.config.sections import Config
from align_agent.config.slips import (
    cure_of,
    hidden_at,
    hidden_in,
    pair_of,
    without_bullet,
    wrongly_quoted,
)
from align_agent.errors import ConfigError

if TYPE_CHECKING:
    import yaml

_DEPTH = 4  # a list of rules, a rule, its check, the check's texts
MAX_BYTES = 1_000_000


def load_config(path: Path) -> Config:
    """The configuration in the file; the defaults where it says nothing, or does not exist.

    Raises ConfigError naming the line, the cause, the nearest known name and the cure.
    """
    return _Reader(Path(path)).read()


def load_with_lines(path: Path) -> tuple[Config, dict[str, int]]:
    """The configuration, and the line of each setting and each entry of a list that it holds.

    Keys are `section.name` and `section.name[N]`. Raises ConfigError like `load_config`.
    """
    reader = _Reader(Path(path))
    return reader.read(), reader.lines


def effective(path: Path) -> list[tuple[str, Any, str]]:
    """Every setting as (dotted key, value, source): source is "default" or "config.yaml:LINE".

    Raises ConfigError like `load_config`.
    """
    path = Path(path)
    reader = _Reader(path)
    config = reader.read()
    rows = []
    for section in fields(Config):
        values = getattr(config, section.name)
        for item in fields(values):
            key = f"{section.name}.{item.name}"
            line = reader.lines.get(key)
            source = f"{path.name}:{line}" if line else "default"
            rows.append((key, getattr(values, item.name), source))
    return rows


class _Reader:
    """One reading of one file. `lines` tells afterwards where each setting stood."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, int] = {}

    def read(self) -> Config:
        root = _compose(self.path)
        config = Config()
        if root is None:
            return config
        sections = {item.name: item for item in fields(Config)}
        pairs = self._pairs(root, "the file", tuple(sections))
        for name, (line, node) in pairs.items():
            section = getattr(config, name)
            values = self._section(name, line, node, section)
            config = replace(config, **{name: replace(section, **values)})
        self._together(config)
        return config

    def _section(self, name: str, line: int, node: yaml.Node, section: Any) -> dict[str, Any]:
        if node.tag == NULL:
            return {}
        specs = {item.name: option_of(item) for item in fields(section)}
        values = {}
        for key, (at, child) in self._pairs(node, f"`{name}`", tuple(specs), line).items():
            dotted = f"{name}.{key}"
            values[key] = self._value(dotted, child, specs[key], at)
            self.lines[dotted] = at
        return values

    def _pairs(
        self, node: yaml.Node, where: str, known: tuple[str, ...], line: int = 0
    ) -> dict[str, tuple[int, yaml.Node]]:
        """The keys of a mapping with their lines. Refuses unknown and repeated keys."""
        import yaml

        if not isinstance(node, yaml.MappingNode):
            pair = pair_of(str(node.value)) if is_scalar(node) else ""
            below = " below it, indented by two spaces" if line else ""
            raise self.error(
                line_of(node) if pair else line or line_of(node),
                f"{where} must hold settings, not {describe(node)}",
                f"a colon and a space stand between name and value: `{pair}`"
                if pair
                else f"write `name: value` lines{below}",
            )
        pairs: dict[str, tuple[int, yaml.Node]] = {}
        for key_node, value in node.value:
            at = line_of(key_node)
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in pairs:
                raise self.error(
                    at,
                    f"`{key}` is given twice in {where}, first on line {pairs[key][0]}",
                    "keep one of the two lines",
                )
            if key not in known:
                raise self.error(at, f"unknown setting `{key}` in {where}", _nearest(key, known))
            pairs[key] = (at, value)
        return pairs

    def _value(self, dotted: str, node: yaml.Node, spec: Option, line: int) -> Any:
        self._quotes(dotted, node)
        value = convert(node, spec)
        if spec.kind in ("texts", "rules"):
            self._items(dotted, node, spec)
        if value is None:
            cure = _type_cure(dotted.split(".")[1], node, spec)
            raise self.error(
                line, f"`{dotted}` must be {spec.expected()}, not {describe(node)}", cure
            )
        complaint = "" if value in spec.words else spec.complain(value)
        if complaint:
            shown = f" (it is {short(node.value)})" if is_scalar(node) else ""
            key = dotted.split(".")[1]
            raise self.error(
                line,
                f"`{dotted}` {complaint}{shown}",
                f"correct it, or remove the line to use the default: {key}: "
                f"{short(_default(dotted))}",
            )
        return value

    def _quotes(self, dotted: str, node: yaml.Node, depth: int = 0) -> None:
        """Refuse typographic quotes around a text: YAML takes them for a part of it."""
        import yaml

        if isinstance(node, yaml.MappingNode):
            parts = [value for _, value in node.value]
        else:
            parts = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.ScalarNode) and (inner := wrongly_quoted(node)):
            raise self.error(
                line_of(node),
                f"the text {short(node.value)} of `{dotted}` stands in typographic quotes, which "
                "YAML takes for letters",
                f'write straight quotes, or none: "{inner}"',
            )
        # A list may hold itself; what a person writes has few levels.
        for part in parts if depth < _DEPTH else ():
            self._quotes(dotted, part, depth + 1)

    def _items(self, dotted: str, node: yaml.Node, spec: Option) -> None:
        """Note the line of each entry of a list; complain of one that is none at its own line."""
        import yaml

        name = dotted.split(".")[1]
        if isinstance(node, yaml.ScalarNode) and node.tag != NULL:
            raise self.error(
                line_of(node),
                f"`{dotted}` must be {spec.expected()}, not {describe(node)}",
                _list_cure(name, str(node.value)),
            )
        if not isinstance(node, yaml.SequenceNode):
            return
        for place, item in enumerate(node.value):
            self.lines[f"{dotted}[{place}]"] = line_of(item)
            complaint = item_complaint(item, spec.kind)
            if complaint:
                raise self.error(
                    line_of(item), f"entry {place + 1} of `{dotted}` {complaint[0]}", complaint[1]
                )

    def _together(self, config: Config) -> None:
        """Values that are fine alone but not together."""
        distill = config.distill
        if distill.min_turns > distill.max_turns:
            line = self.lines.get("distill.min_turns") or self.lines["distill.max_turns"]
            raise self.error(
                line,
                f"`distill.min_turns` ({distill.min_turns}) is more than "
                f"`distill.max_turns` ({distill.max_turns}): no night could ever train",
                "lower min_turns or raise max_turns",
            )

    def error(self, line: int, message: str, hint: str) -> ConfigError:
        return ConfigError(f"{self.path} line {line}: {message}", hint=hint)


def _compose(path: Path) -> yaml.Node | None:
    """The file's node tree; None when it does not exist or says nothing."""
    import yaml

    text = _text(path)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(path, text, error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise ConfigError(
            f"{path} line {line}: a character that YAML does not allow (#x{error.character:04x})",
            hint="remove it; config.yaml is plain UTF-8 text",
        ) from error
    except RecursionError as error:
        raise ConfigError(
            f"{path} line 1: nested far too deeply",
            hint="settings have two levels: a section and its names",
        ) from error
    if hidden := hidden_in(text, node):
        raise ConfigError(f"{path} line {hidden[0]}: {hidden[1]}", hint=hidden[2])
    return None if node is None or node.tag == NULL else node


def _no_yaml(path: Path, text: str, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    if error.context_mark and "end of stream" in str(error.problem):
        mark = error.context_mark  # where it was opened, not where the file ended
    line = mark.line + 1 if mark else 1
    rows = text.splitlines()
    for at in (line, line - 1):  # it is noticed one line later, at times
        if 0 < at <= len(rows) and (hidden := hidden_at(rows[at - 1])):
            return ConfigError(f"{path} line {at}: {hidden[0]}", hint=hidden[1])
    cause = " ".join(str(error.problem or error.context or "cannot be read").split())
    return ConfigError(
        f"{path} line {line}: this is no valid YAML ({cause})", hint=cure_of(rows, line, cause)
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            hint="make it a file that you may read, or remove it to use the defaults",
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{path} is larger than {MAX_BYTES:,} bytes", hint="is this the right file?"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} line {line}: not UTF-8 text", hint="save the file as UTF-8"
        ) from error


def _default(dotted: str) -> Any:
    section, key = dotted.split(".")
    return getattr(getattr(Config(), section), key)


def _nearest(key: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    sections = {item.name: fields(getattr(Config(), item.name)) for item in fields(Config)}
    home = {item.name: section for section, items in sections.items() for item in items}
    if key in home:
        return f"`{key}` belongs into the section `{home[key]}`"
    close = get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    close = get_close_matches(key, home, n=1, cutoff=0.75)
    if close:
        return f"did you mean `{close[0]}` in the section `{home[close[0]]}`?"
    return f"known here: {', '.join(known)}"


def _type_cure(name: str, node: yaml.Node, spec: Option) -> str:
    """How to write a value of the wanted type."""
    if not is_scalar(node) or not node.value:
        return f"write {spec.expected()}"
    if spec.kind == "str":
        return f'put it in quotes: {name}: "{node.value}"'
    if spec.kind == "float" and re.fullmatch(r"-?\d+,\d+", node.value):
        return f"write {spec.expected()}, with a point: {name}: {node.value.replace(',', '.')}"
    bare = " without quotes" if getattr(node, "style", "") in ("'", '"') else ""
    return f"write {spec.expected()}{bare}"


def _list_cure(name: str, text: str) -> str:
    """How to write as a list what was written as one text."""
    if bare := without_bullet(text):
        return f"begin each entry with a hyphen and a space: `- {bare[:60]}`"
    return f'write it as a list: {name}: ["{text[:60]}"]'

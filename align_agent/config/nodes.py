"""YAML nodes to the values of fields, by type alone. Limits and messages are in `load.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from align_agent.config.options import Option

if TYPE_CHECKING:
    import yaml

_TAG = "tag:yaml.org,2002:"
NULL = _TAG + "null"


def line_of(node: yaml.Node) -> int:
    """The node's line, counted from 1."""
    return int(node.start_mark.line) + 1


def convert(node: yaml.Node, spec: Option) -> Any:
    """The node as the field's type; None when it is of another type."""
    import yaml

    if spec.kind in ("texts", "rules"):
        if not isinstance(node, yaml.SequenceNode):
            return None
        items = [_rule(n) if spec.kind == "rules" else _string(n) for n in node.value]
        return None if None in items else tuple(items)
    if not isinstance(node, yaml.ScalarNode):
        return None
    if spec.words and node.value in spec.words:
        return node.value
    kind = node.tag.removeprefix(_TAG)
    if spec.kind == "str":
        return node.value if kind == "str" else None
    if spec.kind == "bool":
        return _scalar(node) if kind == "bool" else None
    if spec.kind == "int":
        return _scalar(node) if kind == "int" else None
    if kind in ("int", "float"):
        number = _scalar(node)
        return None if number is None else float(number)
    return _exponent(node) if kind == "str" and node.style is None else None


def _exponent(node: yaml.Node) -> float | None:
    """`1e-3` is a number to people, but a text to YAML 1.1, which wants `1.0e-3`."""
    try:
        return float(node.value) if node.value[:1] in "+-.0123456789" else None
    except ValueError:
        return None


def _scalar(node: yaml.Node) -> Any:
    import yaml

    try:
        return yaml.constructor.SafeConstructor().construct_object(node)  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError, yaml.YAMLError):
        return None


def _string(node: yaml.Node) -> str | None:
    return node.value if is_scalar(node) and node.tag == _TAG + "str" else None


def _rule(node: yaml.Node) -> str | dict[str, Any] | None:
    """A rule: a text, or a mapping of `text`, `check` and `scope`; None when it is neither."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return _string(node)
    rule: dict[str, Any] = {}
    for key, value in node.value:
        if key.value == "check":
            name = _string(value)
            rule["check"] = {"name": name} if name else _check(value)
        elif key.value in ("text", "scope"):
            rule[key.value] = _string(value)
        else:
            return None
    return rule if rule.get("text") is not None and None not in rule.values() else None


_RULE_KEYS = ("text", "check", "scope")


def item_complaint(node: yaml.Node, kind: str) -> tuple[str, str] | None:
    """(what is wrong with an entry of a list, the cure); None when it is fine."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        if _string(node) is not None:
            return None
        return f"is {describe(node)}, not a text", f'put it in quotes: "{node.value}"'
    if kind != "rules" or not isinstance(node, yaml.MappingNode):
        wanted = "a text, or a mapping with `text`" if kind == "rules" else "a text"
        return f"is {describe(node)}, not {wanted}", "a text with a colon must stand in quotes"
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            return f"gives `{name}` twice", "keep one of the two"
        seen.add(name)
        if name not in _RULE_KEYS:
            known = ", ".join(_RULE_KEYS)
            return (
                f"has an unknown key `{name}`",
                f"known here: {known}; a text with a colon must stand in quotes",
            )
        if name != "check" and _string(value) is None:
            return f"has a `{name}` that is {describe(value)}", f'put it in quotes: {name}: "..."'
        if name == "check" and not _string(value) and _check(value) is None:
            return "has a `check` that cannot be read", "write check: NAME, or {name: NAME, n: 3}"
    return None if "text" in seen else ("has no `text`", 'add one: {text: "No emoji."}')


def _check(node: yaml.Node) -> dict[str, Any] | None:
    """A check's name and its parameters: texts, numbers, or lists of these."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    check: dict[str, Any] = {}
    for key, value in node.value:
        if isinstance(value, yaml.SequenceNode):
            items = [_scalar(item) if is_scalar(item) else None for item in value.value]
            check[str(key.value)] = None if None in items else items
        else:
            check[str(key.value)] = _scalar(value) if is_scalar(value) else None
    return check if isinstance(check.get("name"), str) and None not in check.values() else None


def is_scalar(node: yaml.Node) -> bool:
    import yaml

    return isinstance(node, yaml.ScalarNode)


def describe(node: yaml.Node) -> str:
    """What stands there, in a person's words."""
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return "nothing"
    if kind == "map":
        return "a mapping"
    if kind == "seq":
        return "a list"
    names = {"str": "the text", "int": "the number", "float": "the number", "bool": "the yes/no"}
    return f"{names.get(kind, kind)} {short(node.value)}"


def short(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return f"`{text[:57]}...`" if len(text) > 60 else f"`{text}`"

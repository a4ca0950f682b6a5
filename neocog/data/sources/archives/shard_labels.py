"""The label of a picture in a shard, from the members beside it."""

import json

__all__ = ["LABEL_ENDINGS", "LONGEST_LABEL_FILE", "label_in"]

#: Endings of members with labels; of several the first is used.
LABEL_ENDINGS = ("cls", "label", "json", "txt")
#: Largest member that is a label, in bytes.
LONGEST_LABEL_FILE = 1 << 16

# Longest class name. A longer text, or one of several lines, is a caption.
_LONGEST = 100
# Fields of JSON that may have the label.
_FIELDS = ("label", "class", "cls", "class_name", "category", "target", "label_name")


def label_in(content: bytes, ending: str, field: str | None) -> str | None:
    """The name or number of a class, as text; None if there is none.

    Args:
        content: of the member.
        ending: of its name.
        field: field of JSON that has the label; None finds it.
    """
    if ending == "json":
        return _plain(_json_label(content, (field,) if field is not None else _FIELDS))
    try:
        return _plain(content.decode())
    except UnicodeDecodeError:
        return None


def _json_label(content: bytes, fields: tuple[str, ...]) -> object:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return found if isinstance(found, int | str) else None
    return next((found[one] for one in fields if one in found), None)


def _plain(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else None
    text = value.strip()
    return text if text and len(text) <= _LONGEST and "\n" not in text else None

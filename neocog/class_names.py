"""Names of classes: which texts are allowed.

Letters of every script are allowed, with what their spelling needs: the joiners of Persian, Hindi
and emoji, no-break spaces, soft hyphens, tabs. Characters that move a terminal's cursor, break a
table's lines, reorder the text beside them, or cannot be encoded are not. Integers are converted to
text.
"""

from neocog.errors import ArchitectureError, is_plain, printable
from neocog.validation import as_row, as_whole, refuse

__all__ = ["class_names"]

_LONGEST = 1000


def class_names(classes: object) -> tuple[str, ...]:
    """Check names of classes and convert them to texts.

    Raises:
        ArchitectureError: the message has the name that is not allowed.
    """
    names = as_row(classes)
    if names is None:
        raise refuse("classes", classes, "a list of names", ArchitectureError)
    return tuple(_name(name, number) for number, name in enumerate(names))


def _name(name: object, number: int) -> str:
    if not isinstance(name, str):
        whole = as_whole(name)
        if whole is None or abs(whole) >= 2**64:
            raise refuse(
                f"The name of class {number}", name, "a text or a whole number", ArchitectureError
            )
        return str(whole)
    if len(name) > _LONGEST:
        raise ArchitectureError(
            f"The name of class {number}, '{printable(name, 40)}', has {len(name):,} characters; "
            f"up to {_LONGEST:,} are kept."
        )
    if not is_plain(name.replace("\t", "")):
        raise ArchitectureError(
            f"The name of class {number}, '{printable(name)}', has a line break, another control "
            "character or a mark that reverses the direction of text. Take it out."
        )
    return str(name)  # NumPy's texts become Python's

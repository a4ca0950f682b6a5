"""A setting: a field of a frozen dataclass that says everything about it in one place.

    accumulate: int = setting(1, low=1, high=1000, help="batches per step of the optimizer")

This line gives the check and its message, the option ``--accumulate`` and its help, and the key in
TOML and JSON. Nothing here imports NumPy, since ``--help`` reads it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from math import inf
from types import MappingProxyType, NoneType, UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin

from neocog.errors import NeocogError, did_you_mean
from neocog.validation import as_row, choice, flag, real, refuse, row, shown, whole

__all__ = [
    "OneOf",
    "Setting",
    "Settings",
    "is_part",
    "items_of",
    "kind_named",
    "kinds_of",
    "options_of",
    "setting",
    "setting_of",
    "unknown_setting",
]

# Settings that a message lists.
_MOST_NAMED = 24

Check = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Setting:
    """The description of a field.

    Attributes:
        help: one line for ``--help``.
        low, high, above, below: bounds of a number, or of each number of a tuple.
        choices: the allowed texts.
        wanted: for messages, what a value must be; made from the bounds if empty.
        check: returns the value to keep or raises `NeocogError`, for what bounds cannot express.
        text: parses the text on the command line, where the field's type does not say how.
        option: a short option beside that of the full name: ``--lr`` for ``--optimizer.lr``.
        metavar: name of the value in the help.
        free: whether the value may change when a run is continued.
    """

    help: str = ""
    low: float = -inf
    high: float = inf
    above: float = -inf
    below: float = inf
    choices: tuple[str, ...] = ()
    wanted: str = ""
    check: Check | None = None
    text: Callable[[str], Any] | None = None
    option: str = ""
    metavar: str | tuple[str, ...] | None = None
    free: bool = False


def setting(
    default: Any = MISSING, *, default_factory: Any = MISSING, help: str, **described: Any
) -> Any:
    """A field of a class of settings; further arguments are the attributes of `Setting`."""
    metadata = {"setting": Setting(help=help, **described)}
    if default_factory is not MISSING:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def setting_of(one: "Field[Any]") -> Setting:
    """The description of a field."""
    found: Setting = one.metadata["setting"]
    return found


class Settings:
    """Base class of all settings, which checks the fields when an object is made."""

    __dataclass_fields__: ClassVar[dict[str, "Field[Any]"]]

    def __post_init__(self) -> None:
        for one in fields(self):
            given = getattr(self, one.name)
            value = checked(one, f"{self.prefix()}{one.name}", given)
            if value is not given:
                object.__setattr__(self, one.name, value)
        self.check_together()

    def check_together(self) -> None:
        """Raise `NeocogError` for settings that contradict each other."""

    @classmethod
    def prefix(cls) -> str:
        """What messages put before a setting's name."""
        return ""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the settings, in order."""
        return tuple(one.name for one in fields(cls))


class OneOf(Settings):
    """Settings of which there are several kinds, each a class with a name.

    A direct subclass is a family (``class Optimizer(OneOf)``), and a subclass of a family is one of
    its kinds (``class SGD(Optimizer, name="sgd")``), registered in `kinds`. Files and the command
    line can build registered kinds and nothing else.
    """

    kinds: ClassVar[Mapping[str, type[Self]]]
    #: Name of the kind in files and on the command line.
    type_name: ClassVar[str] = ""

    def __init_subclass__(cls, *, name: str = "") -> None:
        super().__init_subclass__()
        if OneOf in cls.__bases__:
            cls.kinds = MappingProxyType({})
        if name:
            cls.type_name = name
            family: Any = next(base for base in cls.__mro__ if OneOf in base.__bases__)
            family.kinds = MappingProxyType({**family.kinds, name: cls})

    @classmethod
    def prefix(cls) -> str:
        """The name of the kind."""
        return f"{cls.__name__}: "


# Types of fields


def options_of(annotation: Any) -> tuple[Any, bool]:
    """A field's type without None, and whether None is allowed."""
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        others = [one for one in get_args(annotation) if one is not NoneType]
        return others[0], len(others) < len(get_args(annotation))
    return annotation, False


def is_part(annotation: Any) -> bool:
    """Whether a field holds nested settings."""
    kind = options_of(annotation)[0]
    return isinstance(kind, type) and issubclass(kind, Settings)


def items_of(annotation: Any) -> type[Settings] | None:
    """The class of settings that a field holds a tuple of; None for any other field."""
    kind, _ = options_of(annotation)
    arguments = get_args(kind)
    if get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        first: Any = arguments[0]
        return first if isinstance(first, type) and issubclass(first, Settings) else None
    return None


def kinds_of(annotation: Any) -> list[type[Settings]]:
    """The classes that a field with nested settings can hold."""
    kind: Any = options_of(annotation)[0]
    return list(kind.kinds.values()) if issubclass(kind, OneOf) else [kind]


def default_of(one: "Field[Any]") -> Any:
    """A field's default."""
    return one.default if one.default_factory is MISSING else one.default_factory()


# Checks


def checked(one: "Field[Any]", label: str, value: Any) -> Any:
    """The value of a field as it is kept; raises `NeocogError` for a bad value."""
    said = setting_of(one)
    kind, optional = options_of(one.type)
    if value is None and optional:
        return None
    if is_part(kind):
        return _part(one, label, value, kind)
    if said.check is not None:
        return said.check(label, value)
    if (item := items_of(kind)) is not None:
        values = as_row(value)
        if values is None or not all(isinstance(each, item) for each in values):
            raise refuse(label, value, f"a tuple of {item.__name__}")
        return values
    return _plain(said, kind, label, value, optional)


def _part(one: "Field[Any]", label: str, value: Any, kind: type[Settings]) -> Any:
    if value is None:
        return default_of(one)
    if isinstance(value, str) and issubclass(kind, OneOf):
        return kind_named(kind, value, label)()
    if not isinstance(value, kind):
        names = ", ".join(kind.kinds) if issubclass(kind, OneOf) else ""
        such = f": {names}, or one with its settings" if names else ""
        raise refuse(label, value, f"a neocog {kind.__name__.lower()}{such}")
    return value


def _plain(said: Setting, kind: Any, label: str, value: Any, optional: bool) -> Any:
    if kind is bool:
        return flag(label, value)
    if kind is str:
        return _text(said, label, value, optional)
    wanted = said.wanted or _bounds_in_words(said, kind is int) + (" or None" if optional else "")
    if kind is int:
        most = None if said.high == inf else int(said.high)
        return whole(label, value, int(said.low), most, wanted=wanted)
    bounds: dict[str, Any] = {
        "least": said.low,
        "most": said.high,
        "above": said.above,
        "below": said.below,
    }
    if kind is float:
        return real(label, value, **bounds, wanted=wanted)
    return row(label, value, len(get_args(kind)), **bounds, wanted=wanted)


def _text(said: Setting, label: str, value: Any, optional: bool) -> str:
    if not said.choices:
        if not isinstance(value, str):
            raise refuse(label, value, said.wanted or "a text")
        return str(value)
    if isinstance(value, str) and value not in said.choices:
        hint = did_you_mean(value, said.choices)
        known = ", ".join(map(repr, said.choices))
        end = " or None" if optional else ""
        raise NeocogError(f"{label} (={shown(value)}) must be one of {known}{end}.{hint}")
    return choice(label, value, said.choices, wanted=said.wanted)


def _bounds_in_words(said: Setting, is_whole: bool) -> str:
    kind = "a whole number" if is_whole else "a number"
    if said.low > -inf and said.high < inf:
        return f"{kind} from {_shown(said.low)} to {_shown(said.high)}"
    low = f"at least {_shown(said.low)}" if said.low > -inf else ""
    low = f"above {_shown(said.above)}" if said.above > -inf else low
    high = f"at most {_shown(said.high)}" if said.high < inf else ""
    high = f"below {_shown(said.below)}" if said.below < inf else high
    both = " and ".join(filter(None, (low, high)))
    return f"{kind}, {both}" if both else kind


def _shown(bound: float) -> str:
    return f"{bound:d}" if isinstance(bound, int) else f"{bound:g}"


def kind_named(family: type[OneOf], name: object, label: str) -> type[OneOf]:
    """The kind of a family with this name; raises `NeocogError` if there is none."""
    if isinstance(name, str) and name in family.kinds:
        return family.kinds[name]
    hint = did_you_mean(name, family.kinds)
    raise NeocogError(f"Unknown {label} {shown(name)}.{hint} Known: {', '.join(family.kinds)}.")


def unknown_setting(owner: str, name: object, known: Iterable[str]) -> NeocogError:
    """The error to raise for an unknown setting, with the nearest known name."""
    known = list(known)
    hint = did_you_mean(name, known)
    names = ", ".join(known[:_MOST_NAMED])
    if len(known) > _MOST_NAMED:
        names += f" and {len(known) - _MOST_NAMED} more, which docs/settings.md has"
    return NeocogError(f"{owner} has no setting {shown(name)}.{hint} Known: {names}.")

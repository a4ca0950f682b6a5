"""Parameters that come to rest while the others go on."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from neocog.errors import NeocogError
from neocog.validation import shown

__all__ = ["check_patterns", "frozen_in"]


def frozen_in(freeze_after: Mapping[str, int], epoch: int) -> list[str]:
    """The patterns of what does not move any more in an epoch, which are counted from 1."""
    return [pattern for pattern, last in freeze_after.items() if last < epoch]


def check_patterns(patterns: Iterable[str], parameters: Iterable[str]) -> None:
    """Raise `NeocogError` for a pattern that matches none of the parameters' names."""
    names = list(parameters)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise NeocogError(
                f"freeze_after: no parameter is called {shown(pattern)}. There are: "
                f"{', '.join(names)}."
            )

"""argparse's parser, with one-line messages that suggest what may have been meant."""

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn, Self

from neocog.errors import did_you_mean, printable

__all__ = ["ArgumentParser"]

# argparse takes -1e-5 for an option.
_NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


class ArgumentParser(argparse.ArgumentParser):
    """Reports an error in one line, with the nearest known name."""

    def __init__(
        self, *, fill: "Callable[[ArgumentParser], None] | None" = None, **settings: Any
    ) -> None:
        self._fill = fill
        # An abbreviated option would change its meaning once a new option begins with its letters.
        super().__init__(allow_abbrev=False, **settings)
        self._negative_number_matcher = _NEGATIVE_NUMBER
        self.color = False  # since Python 3.14 help has escape sequences, also in pipes

    def filled(self) -> Self:
        """The parser with its arguments, which only the command that is asked for needs."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        return self

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        """What argparse calls for a command's own arguments."""
        return super(ArgumentParser, self.filled()).parse_known_args(*given, **named)

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with code 2."""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"neocog: {message}{end} See {self.prog} --help.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check one of several choices; called by argparse."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        message = (
            f"unknown {printable(str(value))!r}.{did_you_mean(str(value), known)} "
            f"There are: {', '.join(known)}"
        )
        if isinstance(action, argparse._SubParsersAction):
            self.error(message.replace("unknown", "unknown command", 1))
        raise argparse.ArgumentError(action, message)

    def refuse(self, unknown: str) -> NoReturn:
        """Report an unknown option or an unexpected argument."""
        if not unknown.startswith("-"):
            self.error(f"unexpected argument {printable(unknown)!r}")
        option = unknown.partition("=")[0]
        hint = did_you_mean(option, self._option_string_actions)
        self.error(f"unknown option {printable(option)!r}.{hint}".removesuffix("."))

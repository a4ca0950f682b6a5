"""argparse's parser, with messages of one line that say what may have been meant."""

import argparse
from typing import Any, NoReturn

from neocog.errors import did_you_mean, printable

__all__ = ["ArgumentParser"]


class ArgumentParser(argparse.ArgumentParser):
    """Says what is wrong in one line, and what may have been meant."""

    def __init__(self, **settings: Any) -> None:
        # A shortened option would become another one, or none, when a new option has the letters.
        super().__init__(allow_abbrev=False, **settings)
        self.color = False  # from Python 3.14 on help has escape sequences, which pass no pipe

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with exit code 2."""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"neocog: {message}{end} See {self.prog} --help.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """What argparse calls for a choice."""
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
        """Say that there is no such option, or one argument too many."""
        if not unknown.startswith("-"):
            self.error(f"unexpected argument {printable(unknown)!r}")
        option = unknown.partition("=")[0]
        hint = did_you_mean(option, self._option_string_actions)
        self.error(f"unknown option {printable(option)!r}.{hint}".removesuffix("."))

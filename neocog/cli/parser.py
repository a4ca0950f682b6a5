"""The parser of the command line."""

import argparse
from collections.abc import Callable
from functools import partial

from neocog.cli.argument_parser import ArgumentParser
from neocog.cli.arguments import overview
from neocog.cli.model_commands import add_model_commands
from neocog.cli.run_commands import add_run_commands
from neocog.version import __version__

__all__ = ["build_parser", "parse"]


class _Commands(argparse.RawDescriptionHelpFormatter):
    """Leaves room for the longest command's name, whose indent argparse does not count."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = len("    calibrate")


def build_parser() -> ArgumentParser:
    """The parser of all commands; `docs` and tests use it too."""
    parser = ArgumentParser(
        prog="neocog",
        description="Convolutional networks for images that train in seconds on a CPU.",
        formatter_class=_Commands,
        epilog="Try: neocog train",
    )
    parser.add_argument("--version", action="version", version=f"neocog {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_run_commands(commands)
    add_model_commands(commands)
    return parser


def parse(arguments: list[str] | None = None) -> Callable[[], int]:
    """Parse the arguments; returns the command, ready to be called, which returns the exit code."""
    parser = build_parser()
    found, unknown = parser.parse_known_args(arguments)
    options = vars(found)
    command = options.pop("command")
    within = options.pop("within", None)  # the subcommand, for commands that have several
    if unknown:
        _of(_of(parser, command), within).refuse(unknown[0])
    if command is None:
        return partial(overview, parser)
    run = options.pop("run")
    return partial(run, **options)


def _of(parser: ArgumentParser, command: str | None) -> ArgumentParser:
    """The parser of one command's arguments."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and command in action.choices:
            found: ArgumentParser = action.choices[command]
            return found
    return parser

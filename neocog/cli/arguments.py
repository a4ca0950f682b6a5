"""What the commands' arguments have in common."""

import argparse
from typing import Any, TypeAlias

from neocog.cli.argument_parser import ArgumentParser

__all__ = ["DATA", "MODEL", "Commands", "add_command", "add_model", "add_threads", "overview"]

Commands: TypeAlias = "argparse._SubParsersAction[ArgumentParser]"

DATA = (
    "a folder with a folder of pictures for each class, or another source of pictures; shapes "
    "(built in) or cifar10 (default: {default})"
)
MODEL = "a run folder, a .safetensors or a .pth"


def add_command(commands: Commands, name: str, text: str) -> ArgumentParser:
    """A command's own parser."""
    return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def add_model(p: ArgumentParser, help_: str = MODEL, **settings: Any) -> None:
    """The argument MODEL of every command that reads a saved network, and what a .pth needs."""
    p.add_argument("model", help=help_, **settings)
    p.add_argument(
        "--model",
        dest="architecture",
        default=None,
        metavar="NAME|FILE.py:MAKE",
        help="which network a .pth is of (default: a known one that has such weights)",
    )


def add_threads(p: ArgumentParser) -> None:
    """Add how many workers there are."""
    wanted = "workers (default: as many as this process may use)"
    p.add_argument("--threads", type=int, default=None, help=wanted)


def overview(parser: ArgumentParser) -> int:
    """Print the help of what has further commands; gives the exit code."""
    parser.print_help()
    return 0

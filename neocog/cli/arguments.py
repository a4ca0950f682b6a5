"""Arguments that several commands have in common."""

import argparse
from collections.abc import Callable
from typing import Any, TypeAlias

from neocog.cli.argument_parser import ArgumentParser

__all__ = [
    "DATA",
    "MODEL",
    "Commands",
    "add_command",
    "add_engine",
    "add_model",
    "add_threads",
    "overview",
]

Commands: TypeAlias = "argparse._SubParsersAction[ArgumentParser]"

DATA = (
    "a folder that has a folder of pictures for each class, another source of pictures, shapes "
    "(built in), or cifar10 (default: {default})"
)
MODEL = "a run folder, a folder for the hub, a .safetensors, a .onnx or a .pth"


def add_command(
    commands: Commands, name: str, text: str, fill: Callable[[ArgumentParser], None] | None = None
) -> ArgumentParser:
    """Add a command and return its parser, to which `fill` adds the arguments once it is used."""
    description = text[0].upper() + text[1:] + "."
    return commands.add_parser(name, help=text, description=description, fill=fill)


def add_model(p: ArgumentParser, help_: str = MODEL, **settings: Any) -> None:
    """Add MODEL, the saved network that a command reads, and the option that a .pth may need."""
    p.add_argument("model", help=help_, **settings)
    p.add_argument(
        "--model",
        dest="architecture",
        default=None,
        metavar="NAME|FILE.py:MAKE",
        help="the network that the weights of a .pth belong to (default: found by their names)",
    )


def add_engine(p: ArgumentParser) -> None:
    """Add what computes predictions, and where."""
    from neocog.settings.training import ENGINES

    p.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what computes: neocog's kernels, PyTorch, or PyTorch where there is a GPU and much "
        "to compute (default: auto)",
    )
    p.add_argument(
        "--device",
        default=None,
        help="where PyTorch computes: cpu, cuda, cuda:1, mps (default: a GPU, if there is one)",
    )


def add_threads(p: ArgumentParser) -> None:
    """Add the number of worker threads."""
    wanted = "worker threads (default: as many as this process may use)"
    p.add_argument("--threads", type=int, default=None, help=wanted)


def overview(parser: ArgumentParser) -> int:
    """Print the help of a command that has subcommands; returns the exit code."""
    parser.print_help()
    return 0

"""What can be said on the command line."""

import argparse
from collections.abc import Callable
from functools import partial

from neocog import __version__

__all__ = ["build_parser", "parse"]

_DATA = (
    "shapes (built in), cifar10, or a folder or archive with CIFAR-10's binary files "
    "(default: {default})"
)
_MODEL = "a run folder, a .safetensors or a .pth"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, after how it is meant."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"neocog: {message}. See {self.prog} --help.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; `docs` and tests read it too."""
    parser = _Parser(
        prog="neocog",
        description="Convolutional networks for images that train in seconds on a CPU.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Try: neocog train",
    )
    parser.add_argument("--version", action="version", version=f"neocog {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _train(commands)
    _evaluate(commands)
    _predict(commands)
    _bench(commands)
    return parser


def parse(arguments: list[str] | None = None) -> Callable[[], int]:
    """The command that was asked for, ready to be called; it gives the exit code."""
    options = vars(build_parser().parse_args(arguments))
    options.pop("command")
    run = options.pop("run")
    return partial(run, **options)


def _add(commands: "argparse._SubParsersAction[_Parser]", name: str, text: str) -> _Parser:
    return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _train(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.train import train

        return train(**options)  # type: ignore[arg-type]

    p = _add(commands, "train", "train a network, evaluate it and save it")
    p.add_argument("data", nargs="?", default="shapes", help=_DATA.format(default="shapes"))
    p.add_argument("--model", default="simple-cnn", help="network by name (default: simple-cnn)")
    p.add_argument("--epochs", type=int, default=5, help="passes over the data (default: 5)")
    p.add_argument("--batch-size", type=int, default=4, help="images a step (default: 4)")
    p.add_argument(
        "--optimizer",
        choices=("sgd", "adam"),
        default="sgd",
        help="how weights move (default: sgd)",
    )
    p.add_argument("--lr", type=float, default=0.001, help="learning rate (default: 0.001)")
    p.add_argument("--momentum", type=float, default=None, help="of SGD (default: 0.9)")
    p.add_argument("--seed", type=int, default=0, help="of weights and shuffling (default: 0)")
    p.add_argument("--threads", type=int, default=None, help="workers (default: every core)")
    p.add_argument(
        "--log-every", type=int, default=2000, help="batches between two losses (default: 2000)"
    )
    p.add_argument("--out", default=None, help="folder for the results (default: a new runs/…)")
    p.add_argument("--data-dir", default=None, help="where cifar10 lies, if it is there already")
    p.set_defaults(run=run)


def _evaluate(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.evaluate import evaluate

        return evaluate(**options)  # type: ignore[arg-type]

    p = _add(commands, "evaluate", "say how good a saved network is on test images")
    p.add_argument("model", help=_MODEL)
    p.add_argument(
        "data", nargs="?", default=None, help=_DATA.format(default="what it was trained on")
    )
    p.add_argument("--threads", type=int, default=None, help="workers (default: every core)")
    p.add_argument("--data-dir", default=None, help="where cifar10 lies, if it is there already")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _predict(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.predict import predict

        return predict(**options)  # type: ignore[arg-type]

    p = _add(commands, "predict", "say what a saved network sees in image files")
    p.add_argument("model", help=_MODEL)
    p.add_argument("images", nargs="+", metavar="IMAGE", help="any image file that Pillow reads")
    p.add_argument("--top", type=int, default=3, help="classes for each image (default: 3)")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _bench(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.bench import bench

        return bench(**options)  # type: ignore[arg-type]

    p = _add(commands, "bench", "measure training and prediction on this machine, in a minute")
    p.add_argument("--threads", type=int, default=None, help="workers (default: every core)")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)

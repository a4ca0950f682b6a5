"""What can be said on the command line."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from neocog.cli.data_options import add_check_options, add_column_options, add_data_options
from neocog.cli.evaluation_options import (
    add_calibration_options,
    add_evaluation_options,
    add_threshold,
)
from neocog.errors import did_you_mean, printable
from neocog.settings.options import add_options
from neocog.settings.recipe import VIEWS, Recipe
from neocog.version import __version__

__all__ = ["build_parser", "parse"]

_DATA = (
    "a folder with a folder of pictures for each class, or another source of pictures; shapes "
    "(built in) or cifar10 (default: {default})"
)
_MODEL = "a run folder, a .safetensors or a .pth"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and what may have been meant."""

    def __init__(self, **settings: Any) -> None:
        # A shortened option would become another one, or none, when a new option has the letters.
        super().__init__(allow_abbrev=False, **settings)
        self.color = False  # from Python 3.14 on help has escape sequences, which pass no pipe

    def error(self, message: str) -> NoReturn:
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


class _Commands(argparse.RawDescriptionHelpFormatter):
    """Has room for the longest command's name, whose indent argparse does not count."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = len("    calibrate")


def build_parser() -> _Parser:
    """The parser of every command; `docs` and tests read it too."""
    parser = _Parser(
        prog="neocog",
        description="Convolutional networks for images that train in seconds on a CPU.",
        formatter_class=_Commands,
        epilog="Try: neocog train",
    )
    parser.add_argument("--version", action="version", version=f"neocog {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _train(commands)
    _evaluate(commands)
    _calibrate(commands)
    _report(commands)
    _predict(commands)
    _explain(commands)
    _runs(commands)
    _compare(commands)
    _models(commands)
    _summary(commands)
    _explore(commands)
    _bench(commands)
    _data(commands)
    _cache(commands)
    return parser


def parse(arguments: list[str] | None = None) -> Callable[[], int]:
    """The command that was asked for, ready to be called; it gives the exit code."""
    parser = build_parser()
    found, unknown = parser.parse_known_args(arguments)
    options = vars(found)
    command = options.pop("command")
    within = options.pop("within", None)  # what is done, of a command that does several things
    if unknown:
        _of(_of(parser, command), within).refuse(unknown[0])
    if command is None:
        return partial(_overview, parser)
    run = options.pop("run")
    return partial(run, **options)


def _of(parser: _Parser, command: str | None) -> _Parser:
    """The parser of a command's own arguments."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and command in action.choices:
            found: _Parser = action.choices[command]
            return found
    return parser


def _overview(parser: _Parser) -> int:
    parser.print_help()
    return 0


def _add(commands: "argparse._SubParsersAction[_Parser]", name: str, text: str) -> _Parser:
    return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _add_model(p: _Parser, help_: str = _MODEL, **settings: Any) -> None:
    """The argument MODEL of every command that reads a saved network, and what a .pth needs."""
    p.add_argument("model", help=help_, **settings)
    p.add_argument(
        "--model",
        dest="architecture",
        default=None,
        metavar="NAME|FILE.py:MAKE",
        help="which network a .pth is of (default: a known one that has such weights)",
    )


def _train(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.train import train

        return train(**options)  # type: ignore[arg-type]

    p = _add(commands, "train", "train a network, evaluate it and save it")
    p.add_argument("data", nargs="?", default=None, help=_DATA.format(default="shapes"))
    p.add_argument(
        "--recipe",
        default=None,
        metavar="NAME",
        help="settings to start from: note, standard, minute, best, or a .toml (default: note; "
        "for pictures of your own, what suits them)",
    )
    p.add_argument(
        "--config",
        default=None,
        metavar="FILE",
        help="run again what the config.toml of a run says; options win over it",
    )
    p.add_argument(
        "--resume", default=None, metavar="RUN", help="go on with a run that has ended early"
    )
    p.add_argument(
        "--ema",
        type=float,
        default=argparse.SUPPRESS,
        metavar="DECAY",
        help="short for --averaging ema --averaging.decay; 0: no average",
    )
    add_options(p, Recipe, "settings, in the place of the recipe's", skip=("name", "about"))
    p.add_argument("--out", default=None, help="folder for the results (default: a new runs/…)")
    p.add_argument("--data-dir", default=None, help="where cifar10 lies, if it is there already")
    add_data_options(p, shape=True)
    p.set_defaults(run=run)


def _evaluate(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.evaluate import evaluate

        return evaluate(**options)  # type: ignore[arg-type]

    p = _add(commands, "evaluate", "say how good a saved network is on test images")
    _add_model(p)
    p.add_argument(
        "data", nargs="?", default=None, help=_DATA.format(default="what it was trained on")
    )
    p.add_argument(
        "--tta",
        choices=("none", *VIEWS),
        default=None,
        help="views of each image that are averaged (default: as it was trained)",
    )
    _add_threads(p)
    p.add_argument("--data-dir", default=None, help="where cifar10 lies, if it is there already")
    add_evaluation_options(p)
    add_data_options(p, shape=False)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _calibrate(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.calibrate import calibrate

        return calibrate(**options)  # type: ignore[arg-type]

    p = _add(commands, "calibrate", "make the probabilities of a saved network right on average")
    _add_model(p)
    add_calibration_options(p)
    _add_threads(p)
    p.add_argument("--data-dir", default=None, help="where cifar10 lies, if it is there already")
    add_data_options(p, shape=False)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _report(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.report import report

        return report(**options)  # type: ignore[arg-type]

    p = _add(commands, "report", "write the page of a run: curves, mistakes in pictures, settings")
    p.add_argument("folder", metavar="RUN", help="a run folder, as neocog train writes it")
    p.add_argument(
        "data", nargs="?", default=None, help=_DATA.format(default="what it was trained on")
    )
    p.add_argument("--out", default=None, help="the file (default: report.html in the run folder)")
    _add_threads(p)
    p.add_argument("--data-dir", default=None, help="where cifar10 lies, if it is there already")
    add_data_options(p, shape=False)
    p.set_defaults(run=run)


def _add_threads(p: _Parser) -> None:
    wanted = "workers (default: as many as this process may use)"
    p.add_argument("--threads", type=int, default=None, help=wanted)


def _predict(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.predict import predict

        return predict(**options)  # type: ignore[arg-type]

    p = _add(commands, "predict", "say what a saved network sees in pictures")
    _add_model(p)
    p.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="a picture, a folder, a pattern such as '*.png', another source of pictures, or - for "
        "a list of files on stdin",
    )
    p.add_argument("--top", type=int, default=3, help="classes for each image (default: 3)")
    add_threshold(p)
    how = p.add_mutually_exclusive_group()
    for option, format_, what in (
        ("--json", "json", "write one JSON array"),
        ("--jsonl", "jsonl", "write JSON lines: file, label, probability, top"),
        ("--csv", "csv", "write CSV: file, label, probability and so on"),
    ):
        how.add_argument(
            option, dest="format_", action="store_const", const=format_, default=None, help=what
        )
    p.add_argument(
        "-o",
        "--out",
        default=None,
        metavar="FILE",
        help="where to write; .json, .jsonl and .csv say how (default: stdout)",
    )
    p.add_argument(
        "-0", "--null", action="store_true", help="names on stdin end in null bytes, not lines"
    )
    p._has_negative_number_optionals.clear()  # else -1 would be an option too, as -0 is one
    _add_threads(p)
    add_column_options(p)
    p.set_defaults(run=run)


def _explain(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.explain import explain

        return explain(**options)  # type: ignore[arg-type]

    p = _add(commands, "explain", "show what a saved network does with an image, as a page")
    _add_model(p)
    p.add_argument("image", help="an image file, or train:3, validation:3 or test:3")
    p.add_argument(
        "--label", default=None, help="the class it shows (default: the data's, or the prediction)"
    )
    p.add_argument(
        "--data",
        default=None,
        help=f"{_DATA.format(default='what it was trained on')}, for the pictures of its filters",
    )
    p.add_argument(
        "-o", "--out", default=None, metavar="FILE", help="the page (default: IMAGE-explained.html)"
    )
    p.add_argument("--open", dest="open_", action="store_true", help="open it in the browser")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _runs(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.runs import runs

        return runs(**options)  # type: ignore[arg-type]

    p = _add(commands, "runs", "list the runs in a folder: results, and the settings that differ")
    p.add_argument("folder", nargs="?", default="runs", help="that has run folders (default: runs)")
    p.add_argument(
        "--sort",
        choices=["accuracy", "loss", "time", "started", "name"],
        default="accuracy",
        help="what comes first: the best, the quickest or the newest (default: accuracy)",
    )
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _compare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.compare import compare

        return compare(**options)  # type: ignore[arg-type]

    p = _add(commands, "compare", "show runs side by side: results, and the settings that differ")
    p.add_argument("folders", nargs="+", metavar="RUN", help="a run folder")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _models(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.models import models

        return models(**options)  # type: ignore[arg-type]

    p = _add(commands, "models", "list the networks that have names, and what they cost")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _summary(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.summary import summary

        return summary(**options)  # type: ignore[arg-type]

    p = _add(commands, "summary", "list the layers of a network, and what training takes")
    _add_model(p, f"a network by name, my_net.py:make, {_MODEL}")
    p.add_argument("--batch-size", type=int, default=128, help="images a step (default: 128)")
    p.add_argument("--width", type=float, default=1, help="of a network by name (default: 1)")
    p.add_argument("--classes", type=int, default=10, help="of a new network (default: 10)")
    _add_threads(p)
    p.add_argument("--profile", action="store_true", help="measure each layer's time in a step")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _explore(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.explore import explore

        return explore(**options)  # type: ignore[arg-type]

    p = _add(commands, "explore", "open a page on which a network explains itself and learns, live")
    _add_model(
        p,
        f"a network by name, my_net.py:make, {_MODEL} (default: a new simple-cnn)",
        nargs="?",
        default=None,
    )
    p.add_argument(
        "--data",
        default=None,
        help=_DATA.format(default="what it was trained on, or shapes"),
    )
    p.add_argument("--host", default="127.0.0.1", help="address to serve (default: 127.0.0.1)")
    p.add_argument("--port", type=int, default=8421, help="0: any free one (default: 8421)")
    p.add_argument("--no-browser", action="store_true", help="open no browser")
    _add_threads(p)
    p.set_defaults(run=run)


def _bench(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.bench import bench

        return bench(**options)  # type: ignore[arg-type]

    p = _add(commands, "bench", "measure training and prediction on this machine, in a minute")
    _add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _data(commands: "argparse._SubParsersAction[_Parser]") -> None:
    p = _add(commands, "data", "look at pictures before training")
    within = p.add_subparsers(dest="within", metavar="WHAT", help="what is done")
    p.set_defaults(run=partial(_overview, p))

    def run(**options: object) -> int:
        from neocog.cli.data import check

        return check(**options)  # type: ignore[arg-type]

    p = _add(within, "check", "find broken, doubled and mislabeled pictures, and say what there is")
    add_check_options(p)
    _add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON, with everything")
    p.set_defaults(run=run)


def _cache(commands: "argparse._SubParsersAction[_Parser]") -> None:
    def run(**options: object) -> int:
        from neocog.cli.cache import cache

        return cache(**options)  # type: ignore[arg-type]

    p = _add(commands, "cache", "list or remove decoded pictures and compiled kernels")
    p.add_argument(
        "action", nargs="?", choices=["list", "clear"], default="list", help="(default: list)"
    )
    p.add_argument(
        "what",
        nargs="?",
        choices=["pictures", "kernels", "all"],
        default="all",
        help="of what (default: all)",
    )
    p.add_argument("--old", action="store_true", help="clear only what other versions have left")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)

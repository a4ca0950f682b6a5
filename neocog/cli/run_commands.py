"""Commands that train networks and that look at runs."""

import argparse
from typing import Any

from neocog.cli.argument_parser import ArgumentParser
from neocog.cli.arguments import (
    DATA,
    Commands,
    add_command,
    add_engine,
    add_model,
    add_threads,
)
from neocog.cli.data_options import add_data_options
from neocog.cli.evaluation_options import (
    add_calibration_options,
    add_evaluation_options,
)

__all__ = ["add_run_commands"]


def add_run_commands(commands: Commands) -> None:
    """Add the commands; the arguments of one are added when it is asked for."""
    for name, text, fill in (
        ("train", "train a network, evaluate it and save it", _train),
        ("tune", "search for good settings by short trainings, with Optuna", _tune),
        ("evaluate", "measure how good a saved network is on test images", _evaluate),
        ("calibrate", "make a saved network's probabilities match its accuracy", _calibrate),
        ("report", "write the report of a run: curves, mistakes, settings", _report),
        ("runs", "list the runs in a folder: results, and the settings that differ", _runs),
        ("compare", "show runs side by side: results, and the settings that differ", _compare),
    ):
        add_command(commands, name, text, fill)


def _train(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.train import train

        return train(**options)

    p.usage = "neocog train [DATA] [options]"  # all of them would fill a screen
    _add_training(p)
    p.add_argument(
        "--resume", default=None, metavar="RUN", help="continue a run from its last checkpoint"
    )
    p.add_argument("--out", default=None, help="run folder to write (default: a new one in runs)")
    p.set_defaults(run=run)


def _tune(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.tune import tune

        return tune(**options)

    p.add_argument(
        "--space",
        action="append",
        default=None,
        metavar="NAME=VALUES",
        help="a setting to search and its values; can be repeated: lr=1e-4..1e-1:log, "
        "batch_size=16,32,64, augmentation.flip=none,random (default: learning rate around the "
        "recipe's, weight decay, label smoothing and translate)",
    )
    p.add_argument(
        "--trials", type=int, default=20, help="trials in all, earlier ones included (default: 20)"
    )
    p.add_argument(
        "--time",
        dest="minutes",
        type=_minutes,
        default=None,
        metavar="TIME",
        help="start no further trial after this time, such as 90s, 10m or 2h",
    )
    p.add_argument(
        "--study",
        default=None,
        metavar="DIR",
        help="folder of the study, which is continued if it exists (default: a new runs/tune-…)",
    )
    p.add_argument(
        "--storage",
        default=None,
        metavar="URL",
        help="share the study between machines: journal:////shared/tune.log, postgresql://…, "
        "mysql://…, or sqlite:///… on one machine (default: a journal in the study's folder)",
    )
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    _add_training(p, skip=("transfer", "pretrained", "transfer_views", "transfer_minutes"))
    p.set_defaults(run=run)


def _minutes(text: str) -> float:
    unit = {"s": 1 / 60, "m": 1.0, "h": 60.0}.get(text[-1:])
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 2h") from None


def _add_training(p: ArgumentParser, skip: tuple[str, ...] = ()) -> None:
    """Add what all commands that train have in common: the data and all settings but some."""
    # Here, as making the settings' classes takes longer than the help of all commands.
    from neocog.settings.options import add_options
    from neocog.settings.recipe import Recipe

    p.add_argument("data", nargs="?", default=None, help=DATA.format(default="shapes"))
    p.add_argument(
        "--recipe",
        default=None,
        metavar="NAME",
        help="settings to start from: note, standard, minute, best, or a .toml file (default: "
        "note; for your own pictures, chosen to suit them)",
    )
    p.add_argument(
        "--config",
        default=None,
        metavar="FILE",
        help="repeat a run from its config.toml; options override it",
    )
    p.add_argument(
        "--ema",
        type=float,
        default=argparse.SUPPRESS,
        metavar="DECAY",
        help="short for --averaging ema --averaging.decay DECAY; 0: no average",
    )
    left_out = ("name", "about", *skip)
    add_options(p, Recipe, "training settings (default: the recipe's)", skip=left_out)
    p.add_argument("--data-dir", default=None, help="folder of cifar10, if you have it already")
    add_data_options(p, shape=True)


def _evaluate(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.evaluate import evaluate

        return evaluate(**options)

    from neocog.settings.recipe import VIEWS

    add_model(p)
    p.add_argument(
        "data", nargs="?", default=None, help=DATA.format(default="what it was trained on")
    )
    p.add_argument(
        "--tta",
        choices=("none", *VIEWS),
        default=None,
        help="test-time augmentation: views of each image to average (default: the model's own)",
    )
    add_threads(p)
    add_engine(p)
    p.add_argument("--data-dir", default=None, help="folder of cifar10, if you have it already")
    add_evaluation_options(p)
    add_data_options(p, shape=False)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _calibrate(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.calibrate import calibrate

        return calibrate(**options)

    add_model(p)
    add_calibration_options(p)
    add_threads(p)
    p.add_argument("--data-dir", default=None, help="folder of cifar10, if you have it already")
    add_data_options(p, shape=False)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _report(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.report import report

        return report(**options)

    p.add_argument("folder", metavar="RUN", help="a run folder, as neocog train writes it")
    p.add_argument(
        "data", nargs="?", default=None, help=DATA.format(default="what it was trained on")
    )
    p.add_argument("--out", default=None, help="the file (default: report.html in the run folder)")
    add_threads(p)
    p.add_argument("--data-dir", default=None, help="folder of cifar10, if you have it already")
    add_data_options(p, shape=False)
    p.set_defaults(run=run)


def _runs(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.runs import runs

        return runs(**options)

    p.add_argument("folder", nargs="?", default="runs", help="folder of the runs (default: runs)")
    p.add_argument(
        "--sort",
        choices=["accuracy", "loss", "time", "started", "name"],
        default="accuracy",
        help="order: best, fastest or newest first, or by name (default: accuracy)",
    )
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _compare(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.compare import compare

        return compare(**options)

    p.add_argument("folders", nargs="+", metavar="RUN", help="a run folder")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)

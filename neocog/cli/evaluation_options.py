"""Options of evaluation and calibration, and the threshold of an answer."""

import argparse

__all__ = ["add_calibration_options", "add_evaluation_options", "add_threshold"]


def add_threshold(p: argparse.ArgumentParser) -> None:
    """Add the threshold."""
    p.add_argument(
        "--threshold",
        type=float,
        default=None,
        metavar="P",
        help='answer "none of these" if the most probable class has less than this; 0: never '
        "(default: the model's own)",
    )


def add_evaluation_options(p: argparse.ArgumentParser) -> None:
    """Add the options of ``neocog evaluate``."""
    p.add_argument(
        "--top-k",
        type=int,
        default=None,
        metavar="K",
        help="report top-K accuracy (default: 5, if there are more than five classes)",
    )
    add_threshold(p)
    p.add_argument(
        "--mistakes",
        default=None,
        metavar="FILE.csv",
        help="write the misclassified images to a file, the most confident mistakes first",
    )


def add_calibration_options(p: argparse.ArgumentParser) -> None:
    """Add the options of ``neocog calibrate``."""
    p.epilog = (
        "Fits the temperature T of softmax(scores / T), which changes no prediction, and writes it "
        "to the model's file."
    )
    p.add_argument(
        "data",
        nargs="?",
        default=None,
        help="pictures that it was not trained on (default: those held out for validation)",
    )
    p.add_argument(
        "--temperature",
        type=float,
        default=None,
        metavar="T",
        help="set the temperature instead of fitting it; 1: uncalibrated",
    )
    group = p.add_mutually_exclusive_group()
    group.add_argument(
        "--threshold",
        type=float,
        default=None,
        metavar="P",
        help="store this threshold in the model: answers need at least this probability; 0: none",
    )
    group.add_argument(
        "--accuracy",
        type=float,
        default=None,
        metavar="A",
        help="choose the threshold that makes this fraction of the answers right, such as 0.99",
    )
    p.add_argument(
        "-o", "--out", default=None, metavar="FILE", help="a .safetensors (default: MODEL itself)"
    )

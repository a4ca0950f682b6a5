"""The options that say what an evaluation tells, and how sure an answer must be."""

import argparse

__all__ = ["add_calibration_options", "add_evaluation_options", "add_threshold"]


def add_threshold(p: argparse.ArgumentParser) -> None:
    """The probability that an answer needs."""
    p.add_argument(
        "--threshold",
        type=float,
        default=None,
        metavar="P",
        help="none of these, where the most probable class has less; 0: always an answer (default: "
        "the model's own)",
    )


def add_evaluation_options(p: argparse.ArgumentParser) -> None:
    """Add those of ``neocog evaluate``."""
    p.add_argument(
        "--top-k",
        type=int,
        default=None,
        metavar="K",
        help="count images whose class is among the K most probable ones (default: 5, of more than "
        "five classes)",
    )
    add_threshold(p)
    p.add_argument(
        "--mistakes",
        default=None,
        metavar="FILE.csv",
        help="write which images were taken for something else, the surest mistakes first",
    )


def add_calibration_options(p: argparse.ArgumentParser) -> None:
    """Add those of ``neocog calibrate``."""
    p.epilog = (
        "Fits the temperature T of softmax(scores / T), which changes no answer, and writes it to "
        "the model's file."
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
        help="set it instead; 1 is that of a network that was never calibrated",
    )
    group = p.add_mutually_exclusive_group()
    group.add_argument(
        "--threshold",
        type=float,
        default=None,
        metavar="P",
        help="keep in the model that answers need this probability; 0: none",
    )
    group.add_argument(
        "--accuracy",
        type=float,
        default=None,
        metavar="A",
        help="choose the threshold by which this part of the answers is right, such as 0.99",
    )
    p.add_argument(
        "-o", "--out", default=None, metavar="FILE", help="a .safetensors (default: MODEL's own)"
    )

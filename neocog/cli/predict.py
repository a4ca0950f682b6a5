"""``neocog predict``."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.answers import best_of, class_labels
from neocog.cli.evaluate import open_model, predict_by
from neocog.cli.paths import out_path
from neocog.cli.picture_list import GivenPicture, given_pictures
from neocog.cli.prediction_output import Writer, output_to, writer_of
from neocog.cli.target_output import target_writer_of
from neocog.cli.terminal import loading_progress, say, say_compiling
from neocog.data.options import LoadOptions
from neocog.data.reading_ahead import read_ahead
from neocog.engine import announced
from neocog.engines import choose_for_predictions
from neocog.errors import DataError, NeocogError
from neocog.limits import available_cores
from neocog.losses import gives_numbers, has_targets
from neocog.matching import LABELS_OF
from neocog.network import Network
from neocog.settings.training import check_threads
from neocog.validation import real

__all__ = ["predict"]

# Pictures in memory at a time, and the bytes that they may take.
_AT_A_TIME = 256
_MOST_BYTES = 2**25


def predict(
    model: str,
    images: list[str],
    architecture: str | None,
    top: int,
    threshold: float | None,
    format_: str | None,
    out: str | None,
    null: bool,
    threads: int | None,
    file_column: str | None,
    label_column: str | None,
    engine: str,
    device: str | None,
) -> int:
    """Write the most probable classes of each image, its labels or its number.

    Returns 1 if some images could not be read. Those are reported on stderr and, except in plain
    lines, in their places in the output; the results of the others are written.
    """
    if top < 1:
        raise NeocogError(f"--top (={top}) must be at least 1.")
    threads = check_threads(threads)
    choose_for_predictions(engine, device, 0)  # before anything is read, where it is not there
    if threshold is not None:
        threshold = real("--threshold", threshold, 0, 1)
    path = out_path(out) if out is not None else None
    network = open_model(model, architecture)
    if gives_numbers(network.loss) and threshold is not None:
        raise NeocogError("--threshold is for probabilities, and this network gives numbers.")
    threshold = network.threshold if threshold is None else threshold
    options = LoadOptions.of(
        file_column=file_column, label_column=label_column, labels=LABELS_OF[network.loss]
    )
    pictures, count = given_pictures(images, options, null=null)
    predict_by(network, engine, device, count or 0)
    names = class_labels(network)
    top = min(top, len(names))
    progress = loading_progress() if path is not None or not sys.stdout.isatty() else None
    done = bad = 0

    def read(picture: GivenPicture) -> NDArray[np.uint8]:
        return picture.read(network.input_shape, network.preprocessing.resize)

    at_a_time = max(1, min(_AT_A_TIME, _MOST_BYTES // max(1, int(np.prod(network.input_shape)))))
    batches = read_ahead(pictures, read, at_a_time=at_a_time, threads=threads or available_cores())
    with announced(say_compiling), output_to(path) as stream:
        how = _format(format_, path)
        writer: Writer
        if has_targets(network.loss):
            writer = target_writer_of(how, stream, names, network.loss, top, threshold)
        else:
            writer = writer_of(how, stream, top, threshold or None)
        for some, found in batches:
            pixels = [one for one in found if not isinstance(one, DataError)]
            rows = iter(_probabilities(network, model, pixels, threads, alone=count == 1))
            if not done:
                writer.begin()
            for picture, one in zip(some, found, strict=True):
                if isinstance(one, DataError):
                    say(f"neocog: {one}")
                    bad += 1
                    writer.write(picture.name, None, str(one))
                else:
                    row = next(rows)
                    result = row if has_targets(network.loss) else best_of(row, names, top)
                    writer.write(picture.name, result, None)
            done += len(some)
            if progress is not None and count is not None:
                progress("predicting", done, count)
        if not done:
            raise NeocogError("There are no pictures in the list on stdin.")
        writer.end()
    return 1 if bad else 0


def _format(asked: str | None, path: Path | None) -> str:
    """The format that was asked for, or the one of the file's ending."""
    if asked is not None:
        return asked
    suffix = path.suffix.lower().removeprefix(".") if path is not None else ""
    return suffix if suffix in ("json", "jsonl", "csv") else "lines"


def _probabilities(
    network: Network,
    model: str,
    pixels: list[NDArray[np.uint8]],
    threads: int | None,
    *,
    alone: bool,
) -> NDArray[np.float32]:
    if not pixels:
        return np.empty((0, network.output_shape[0]), np.float32)
    images = np.stack(pixels)
    if len(images) == 1 and not alone:
        # A single image may be computed by other kernels, whose rounding differs from that of a
        # batch. An image's result must not depend on whether it comes last in the list.
        images = np.concatenate([images, images])
    found = network.predict_proba(images, threads=threads)[: len(pixels)]
    if not np.isfinite(found).all():
        raise NeocogError(
            f"{model} gives NaN or infinite outputs: its weights are damaged, or come from a "
            "training that diverged."
        )
    return found

"""``neocog evaluate``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neocog.cli.loading import find_pictures, load_options, say_notes, taken_out
from neocog.cli.paths import out_path
from neocog.cli.prediction_output import output_to
from neocog.cli.targets import check_has_targets
from neocog.cli.terminal import loading_progress, say, say_compiling
from neocog.data import Data, Dataset, load_data
from neocog.data.finding import holds_pictures
from neocog.engine import announced
from neocog.engines import choose_for_predictions
from neocog.errors import DataError, NeocogError, printable
from neocog.evaluation import (
    VIEWS,
    AnyEvaluation,
    Evaluation,
    LabelsEvaluation,
    result_summary,
    write_mistakes,
    write_target_mistakes,
)
from neocog.evaluation import evaluate as evaluate_network
from neocog.files import user_path
from neocog.formats import training_of
from neocog.loading import open_saved
from neocog.losses import gives_numbers, has_targets
from neocog.matching import fitting, in_order_of, labels_for, mismatch
from neocog.network import Network
from neocog.summary import cost
from neocog.trained_on import trained_on
from neocog.validation import real, whole

__all__ = ["EvaluationData", "evaluate", "load_usual", "open_model", "predict_by"]


def open_model(model: str, architecture: str | None = None) -> Network:
    """Load the network from a run folder or a file; prints what was assumed."""
    network, notes = open_saved(model, architecture)
    for note in notes:
        say(note)
    return network


def predict_by(network: Network, engine: str, device: str | None, images: int) -> None:
    """Have an engine predict so many images; says which one, where it is PyTorch."""
    chosen = choose_for_predictions(engine, device, images * cost(network).multiply_adds)
    network.use_engine(chosen)
    if chosen.engine == "torch":
        say(f"Engine: {chosen}.")


class EvaluationData(NamedTuple):
    """Images that a network is evaluated on.

    Attributes:
        data: the data that they are a part of.
        part: name of the part, "test" or "validation"; "all" for pictures that are not split.
        images: the images.
    """

    data: Data
    part: str
    images: Dataset


def load_usual(
    model: str,
    network: Network,
    data: str | None,
    data_dir: str | None = None,
    given: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> EvaluationData:
    """Load the data that are named, or else the data that the model was trained on.

    Returns the part that was held out of training. Pictures without a split that are not the
    training data are all new to the network, so all of them are returned. Prints a note where it is
    uncertain whether the data are those of the training.

    Raises:
        NeocogError: there are no data, they have changed, or their shape or labels do not fit the
            network.
    """
    trained = trained_on(model)
    name = data or (trained.name if data_dir is not None else trained.source)
    if name is None:
        unknown = "what it was trained on"
        if trained.name is not None:
            unknown = f"where the data {printable(trained.name)} lie that it was trained on"
        raise NeocogError(
            f"{model} does not say {unknown}. Name the data, as in: neocog evaluate {model} cifar10"
        )
    same = trained.source is not None and _same_place(name, trained.source)
    options = {**(trained.options if same else {}), **labels_for(network), **(given or {})}
    if data is None and holds_pictures(name):
        # Loaded as for the training; the fingerprint tells whether the images are the same.
        options.setdefault("on_bad", "skip")
    chosen = load_options(given or {}).chosen  # not the selection that it was trained on
    try:
        check_has_targets(name, network.loss)
        found = find_pictures(name, options, threads) if data_dir is None else None
        if found is not None:
            loaded = Data.of(fitting(found, network, model).load())
        else:
            loaded = load_data(name, data_dir=data_dir, progress=loading_progress())
    except DataError as error:
        if data is not None or name == trained.name:
            raise
        raise DataError(
            f"{model} was trained on {printable(name, 200)}, which cannot be loaded: {error} If "
            "the data are elsewhere now, name them."
        ) from error
    loaded = in_order_of(loaded, network.classes)
    say_notes(loaded)
    if data is None and not chosen and trained.differ(loaded):
        raise NeocogError(
            f"{model} was trained on other images than {printable(name, 200)} now has. Name the "
            f"data, as in: neocog evaluate {model} FOLDER"
        )
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    if trained.name == loaded.name and trained.differ(loaded) and not chosen:
        say(f"{model} was trained on other images than these, although the name is the same.")
    elif trained.is_unsure(loaded):
        say(
            f"{model} does not say which images {printable(loaded.name)} had: whether it was "
            "trained on these cannot be checked."
        )
    asked = found is None or found.is_split or "validation" in options
    if not (asked or same) and (trained.fingerprint is None or trained.differ(loaded)):
        return EvaluationData(loaded, "all", _all_of(loaded))
    return _held_out(model, loaded)


def _held_out(model: str, loaded: Data) -> EvaluationData:
    part, images = loaded.held_out
    if not len(images):
        raise NeocogError(
            f"Nothing of {printable(loaded.name)} was held out of the training. Name other "
            f"pictures, as in: neocog evaluate {model} FOLDER"
        )
    return EvaluationData(loaded, part, images)


def _same_place(name: str, other: str) -> bool:
    return name == other or user_path(name).absolute() == Path(other)


def _all_of(data: Data) -> Dataset:
    parts = [part for part in data.parts.values() if len(part)]
    if len(parts) == 1:
        return parts[0]
    images = np.concatenate([part.images for part in parts])
    names = [name for part, images in data.parts.items() for name in names_of(images, part)]
    return Dataset(images, np.concatenate([part.labels for part in parts]), names)


def names_of(images: Dataset, part: str) -> Sequence[str]:
    """Names of images: their files, or as ``neocog explain`` takes them, ``test:3``."""
    if images.names is not None:
        return images.names
    return [f"{part}:{n}" for n in range(len(images))]


def views_of(model: str, tta: str | None) -> str | None:
    """The test-time augmentation that is asked for, or else the one in the model's file."""
    if tta is None:
        kept = training_of(model).get("tta")
        return kept if kept in VIEWS else None
    return None if tta == "none" else tta


def evaluate(
    model: str,
    data: str | None,
    architecture: str | None,
    tta: str | None,
    threads: int | None,
    data_dir: str | None,
    top_k: int | None,
    threshold: float | None,
    mistakes: str | None,
    json_: bool,
    engine: str,
    device: str | None,
    **options: Any,
) -> int:
    """Print the metrics of a network: overall, per class, calibration, and its mistakes."""
    given = taken_out(options)
    choose_for_predictions(engine, device, 0)  # before data are loaded, where it is not there
    if threshold is not None:
        threshold = real("--threshold", threshold, 0, 1)
    path = None if mistakes is None else out_path(mistakes)
    network = open_model(model, architecture)
    _check_options(network.loss, top_k, threshold)
    views = views_of(model, tta)
    if top_k is not None:
        whole("--top-k", top_k, 1, network.output_shape[0])
    judged = load_usual(model, network, data, data_dir, given, threads)
    loaded = judged.data
    images = replace(judged.images, names=names_of(judged.images, judged.part))
    if network.classes is None:
        network.name_classes(loaded.classes)
    predict_by(network, engine, device, len(images))
    with announced(say_compiling):
        result = evaluate_network(network, images, tta=views, threads=threads)
    if isinstance(result, LabelsEvaluation) and threshold is not None:
        result = replace(result, threshold=threshold)
    if path is not None:
        _write_mistakes(result, path)
    if json_:
        seen = {"tta": views} if views else {}
        about = {"model": model, "data": loaded.name, "part": judged.part}
        found = _complete(result, top_k, threshold)
        print(json.dumps({**about, **seen, **found}))
    else:
        print(result_summary(result, judged.part, top_k=top_k, threshold=threshold))
    return 0


def _check_options(loss: str, top_k: int | None, threshold: float | None) -> None:
    """Raise `NeocogError` for options that are of networks with another loss."""
    if has_targets(loss) and top_k is not None:
        raise NeocogError(f"--top-k is for networks that choose one class; this one has {loss}.")
    if gives_numbers(loss) and threshold is not None:
        raise NeocogError("--threshold is for probabilities, and this network gives numbers.")


def _complete(result: AnyEvaluation, top_k: int | None, threshold: float | None) -> dict[str, Any]:
    if isinstance(result, Evaluation):
        return result.to_dict(top_k=top_k, threshold=threshold, complete=True)
    return {**result.to_dict(), "mistakes": [one.to_dict() for one in result.mistakes]}


def _write_mistakes(result: AnyEvaluation, path: Path) -> None:
    with output_to(path) as stream:
        if isinstance(result, Evaluation):
            write_mistakes(result.mistakes, stream)
        else:
            write_target_mistakes(result.mistakes, stream)

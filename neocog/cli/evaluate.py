"""``neocog evaluate``."""

import json

from neocog import evaluate as evaluate_network
from neocog import load, load_data
from neocog.cli.terminal import download_progress, say, say_compiling
from neocog.data import Data
from neocog.engine import announced
from neocog.errors import DataError, NeocogError, printable
from neocog.evaluation import VIEWS, Evaluation
from neocog.formats import assumption, training_of
from neocog.network import Network
from neocog.opening import mismatch
from neocog.trained_on import trained_on
from neocog.training.run_process import settle

__all__ = ["evaluate", "load_usual", "open_model"]


def open_model(model: str) -> Network:
    """The network in a run folder, a ``.safetensors`` or a ``.pth``; says what was assumed."""
    if stands := settle(model):
        say(f"{model}: {stands}")
    network = load(model)
    if assumed := assumption(model, network):
        say(assumed)
    return network


def load_usual(model: str, data: str | None, data_dir: str | None) -> Data:
    """The data that are named, or those that the model was trained on, and no others."""
    trained = trained_on(model)
    name = data or (trained.name if data_dir is not None else trained.source)
    if name is None:
        unknown = "what it was trained on"
        if trained.name is not None:
            unknown = f"where the data {printable(trained.name)} lie that it was trained on"
        raise NeocogError(
            f"{model} does not say {unknown}; name the data, as in: neocog evaluate {model} cifar10"
        )
    try:
        loaded = load_data(name, data_dir=data_dir, progress=download_progress())
    except DataError as error:
        if data is not None or name == trained.name:
            raise
        raise DataError(
            f"{model} was trained on the data in {printable(name)}, which cannot be loaded: "
            f"{error} If they are elsewhere now, name them."
        ) from error
    if not trained.differ(loaded):
        return loaded
    if data is None:
        raise NeocogError(
            f"{model} was trained on other data than {printable(name)} holds now, though they are "
            f"called {printable(str(trained.name))} too. Name the data, as in: "
            f"neocog evaluate {model} FOLDER"
        )
    if trained.name == loaded.name:
        say(f"{model} was trained on other data than these, though they are called the same.")
    return loaded


def views_of(model: str, tta: str | None) -> str | None:
    """The views that are asked for, or else those that the model's file says."""
    if tta is None:
        kept = training_of(model).get("tta")
        return kept if kept in VIEWS else None
    return None if tta == "none" else tta


def evaluate(
    model: str,
    data: str | None,
    tta: str | None,
    threads: int | None,
    data_dir: str | None,
    json_: bool,
) -> int:
    """Print loss, accuracy, each class's scores, and which were taken for which."""
    network = open_model(model)
    views = views_of(model, tta)
    loaded = load_usual(model, data, data_dir)
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    if network.classes is None:
        network.name_classes(loaded.classes)
    with announced(say_compiling):
        result = evaluate_network(network, loaded.test, tta=views, threads=threads)
    if json_:
        seen = {"tta": views} if views else {}
        print(json.dumps({"model": model, "data": loaded.name, **seen, **result.to_dict()}))
    else:
        _show(result)
    return 0


def _show(result: Evaluation) -> None:
    count = int(result.confusion.sum())
    print(f"Loss: {result.loss:.4f}")
    print(f"Accuracy: {100 * result.accuracy:.2f} % of {count:,} images")
    width = max(5, *(len(c.name) for c in result.per_class))
    print(f"\n{'class':<{width}}  precision  recall   count")
    for c in result.per_class:
        print(
            f"{c.name:<{width}}  {_percent(c.precision):>9}  {_percent(c.recall):>6}  {c.count:>6,}"
        )
    print("\nConfusion: a row for each class, a column for what it was taken for")
    cell = max(4, len(str(result.confusion.max())))
    short = [c.name[:cell] for c in result.per_class]
    print(" " * width + "".join(f"  {name:>{cell}}" for name in short))
    for c, row in zip(result.per_class, result.confusion, strict=True):
        print(f"{c.name:<{width}}" + "".join(f"  {n:>{cell}}" for n in row))


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.1f} %"

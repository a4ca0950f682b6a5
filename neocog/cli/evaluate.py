"""``neocog evaluate``."""

import json

from neocog import evaluate as evaluate_network
from neocog import load, load_data
from neocog.cli.terminal import download_progress, say
from neocog.errors import NeocogError
from neocog.evaluation import VIEWS, Evaluation
from neocog.formats import assumption, training_of
from neocog.network import Network
from neocog.opening import mismatch

__all__ = ["evaluate", "open_model"]


def open_model(model: str) -> Network:
    """The network in a run folder, a ``.safetensors`` or a ``.pth``; says what was assumed."""
    network = load(model)
    if assumed := assumption(model, network):
        say(assumed)
    return network


def trained_on(model: str) -> str:
    """The name of the data that the model's file says it was trained on."""
    data = training_of(model).get("data")
    if not isinstance(data, str):
        raise NeocogError(
            f"{model} does not say what it was trained on; name the data, as in: "
            f"neocog evaluate {model} cifar10"
        )
    return data


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
    name = data or trained_on(model)
    loaded = load_data(name, data_dir=data_dir, progress=download_progress())
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    if network.classes is None:
        network.name_classes(loaded.classes)
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

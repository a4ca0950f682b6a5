"""``neocog models``."""

import inspect
import json

from neocog.models import MODELS, REACHED, make
from neocog.summary import cost

__all__ = ["models"]


def models(json_: bool) -> int:
    """Print the built-in networks and their cost."""
    rows = []
    for name, function in MODELS.items():
        network = make(name)
        total = cost(network)
        percent, command = REACHED.get(name, (None, None))
        about = (inspect.getdoc(function) or "").partition("\n")[0]
        rows.append(
            {
                "name": name,
                "parameters": total.parameters,
                "flops": 2 * total.multiply_adds,
                "input_shape": list(network.input_shape),
                "about": about,
                "cifar10": percent,
                "command": command,
            }
        )
    if json_:
        print(json.dumps(rows))
        return 0
    wide = max(len(name) for name in MODELS)
    # Two lines per network, so that everything fits a terminal of 80 columns and 24 lines.
    print(f"{'name':<{wide}}  {'parameters':>10}  {'MFLOP':>8}  {'input':>11}  {'CIFAR-10':>8}")
    for row in rows:
        shape = " × ".join(map(str, row["input_shape"]))  # type: ignore[call-overload]
        print(
            f"{row['name']:<{wide}}  {row['parameters']:>10,}  {row['flops'] / 1e6:>8,.1f}  "  # type: ignore[operator]
            f"{shape:>11}  {_percent(row['cifar10']):>8}\n  {row['about']}"
        )
    print("MFLOP: of one image, forward. CIFAR-10: the accuracy after these commands:")
    for name, (_, command) in REACHED.items():
        print(f"  {name:<{wide}}  {command}")
    return 0


def _percent(part: object) -> str:
    return "–" if part is None else f"{part:.1f} %"

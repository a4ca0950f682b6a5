"""``neocog summary``."""

import json
from collections.abc import Callable
from typing import Any

from neocog.cli.evaluate import open_model
from neocog.cli.terminal import say_compiling
from neocog.engine.inspection import training_memory, training_times
from neocog.errors import NeocogError
from neocog.models.named import is_new, make_model
from neocog.network import Network
from neocog.settings.training import TrainingSettings
from neocog.summary import Cost, cost

__all__ = ["summary"]

# Columns that fit a terminal of the usual size.
_WIDTH = 80
# Columns that a name keeps in any case.
_SHORTEST = 12


def _network(model: str, architecture: str | None, width: float, classes: int) -> Network:
    if is_new(model) and architecture is None:
        return make_model(model, classes, width=width)
    if width != 1:
        raise NeocogError(f"--width (={width}) is for models by name; {model} has its own.")
    return open_model(model, architecture)


def summary(
    model: str,
    architecture: str | None,
    batch_size: int,
    width: float,
    classes: int,
    threads: int | None,
    profile: bool,
    json_: bool,
) -> int:
    """Print each layer's shape, parameters and multiply-adds, and the memory of training."""
    settings = TrainingSettings(batch_size=batch_size, threads=threads)
    network = _network(model, architecture, width, classes)
    total = cost(network)
    memory = training_memory(network.graph, settings)
    times: dict[str, float] = {}
    if profile:
        if not network.initialized:
            network.initialize(0)
        state = network.state_dict()
        times = training_times(network.graph, state, settings, on_compile=say_compiling)
    if json_:
        print(json.dumps(_plain(model, network, total, batch_size, memory, times)))
        return 0
    rows = [
        ["layer", "type", "output", "parameters", "mult-adds"],
        *(
            [
                layer.name,
                layer.type,
                "×".join(map(str, layer.output_shape)),
                f"{layer.parameters:,}",
                f"{layer.multiply_adds:,}",
            ]
            for layer in total.layers
        ),
        ["in all", "", "", f"{total.parameters:,}", f"{total.multiply_adds:,}"],
    ]
    _table(rows, [str.ljust, str.ljust, str.rjust, str.rjust, str.rjust])
    print(f"\nTraining in batches of {batch_size}: {memory / 2**20:,.1f} MiB beside the data.")
    if times:
        print(f"A step on one thread: {sum(times.values()):,.0f} µs\n")
        whole = sum(times.values()) or 1.0
        _table(
            [["part", "µs", "share"]]
            + [[n, f"{us:,.1f}", f"{100 * us / whole:.1f} %"] for n, us in times.items()],
            [str.ljust, str.rjust, str.rjust],
        )
    return 0


def _plain(
    model: str, network: Network, total: Cost, batch: int, memory: int, times: dict[str, float]
) -> dict[str, Any]:
    return {
        "model": model,
        "input_shape": list(network.input_shape),
        "layers": [
            {
                "name": layer.name,
                "type": layer.type,
                "output_shape": list(layer.output_shape),
                "parameters": layer.parameters,
                "multiply_adds": layer.multiply_adds,
            }
            for layer in total.layers
        ],
        "parameters": total.parameters,
        "multiply_adds": total.multiply_adds,
        "training": {"batch_size": batch, "memory_bytes": memory},
        **({"microseconds": times} if times else {}),
    }


def _table(rows: list[list[str]], sides: list[Callable[[str, int], str]]) -> None:
    """Print a table that fits `_WIDTH`; where it would not, long names lose their beginnings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= _WIDTH else " "
    widths[0] = min(widths[0], max(_SHORTEST, _WIDTH - sum(widths[1:]) - len(widths) + 1))
    rows = [[_ending(row[0], widths[0]), *row[1:]] for row in rows]
    for row in rows:
        cells = [side(cell, w) for side, cell, w in zip(sides, row, widths, strict=True)]
        print(gap.join(cells).rstrip())


def _ending(name: str, width: int) -> str:
    """The end of a name, which tells it from its neighbors, behind a mark for what is cut off."""
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"

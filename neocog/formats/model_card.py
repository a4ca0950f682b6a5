"""The card of a model on the hub: a ``README.md`` of what is known of it, with a head in YAML.

Texts that come from a run or from names of classes are put where they can be nothing but text: in
the head as JSON, which is YAML, too, and below as code.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from neocog.errors import printable
from neocog.formats.parts import ModelParts
from neocog.settings.training import LOSSES
from neocog.summary import cost
from neocog.version import __version__

__all__ = ["model_card"]

# Classes that are listed by name.
_MOST_CLASSES = 200
_LONGEST_TEXT = 200
_NO_YAML = re.compile("[\ufffe\uffff]")
# Settings of a run that are worth a line, where it has them.
_SETTINGS = ("recipe", "epochs", "batch_size", "optimizer", "schedule", "loss", "initialization")


def model_card(
    parts: ModelParts,
    name: str,
    architecture: str | None = None,
    run: Mapping[str, Any] | None = None,
) -> str:
    """The text of a card.

    Args:
        parts: of the network.
        name: of the model.
        architecture: name of the network, if it has one.
        run: what the ``run.json`` of its training says; paths and what names this machine's
            processes are left out.
    """
    run = run or {}
    name = printable(name, _LONGEST_TEXT)
    results = [one for one in (_result(run, part) for part in ("test", "validation")) if one]
    sections = [
        _head(parts, name, run, results),
        f"# {_code(name)}\n\n{_about(parts, architecture)}\n",
        _USE,
        "## Results\n\n" + (_results(run, results) if results else _NOT_EVALUATED),
        *([f"## Training\n\n{_training(run)}"] if run else []),
        f"## Network\n\n{_network(parts, architecture)}",
        f"## Classes\n\n{_classes(parts.classes)}",
    ]
    return "\n".join(sections)


_USE = """## Use

```sh
neocog predict FOLDER picture.png
```

```python
import neocog

net = neocog.load("FOLDER")   # the folder of this file
module = net.to_torch()       # for PyTorch
```

The weights in `model.safetensors` have PyTorch's names; `config.json` has everything else.
"""
_NOT_EVALUATED = "Nothing is known of an evaluation.\n"


# The head


def _head(
    parts: ModelParts, name: str, run: Mapping[str, Any], results: list[dict[str, Any]]
) -> str:
    head: dict[str, Any] = {"library_name": "neocog", "tags": ["neocog", "image-classification"]}
    if parts.loss == LOSSES[2]:
        head["tags"] = ["neocog", "image-regression"]
    else:
        head["pipeline_tag"] = "image-classification"
    measured = [one for one in results if one["accuracy"] is not None]
    if measured:
        data = _data_name(run)
        head["metrics"] = ["accuracy"]
        head["model-index"] = [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image Classification"},
                        "dataset": {"name": data, "type": data, "split": one["part"]},
                        "metrics": [
                            {
                                "type": "accuracy",
                                "name": "Accuracy",
                                "value": round(one["accuracy"], 6),
                            }
                        ],
                    }
                    for one in measured
                ],
            }
        ]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    lines = [_NO_YAML.sub("?", line) for line in lines]
    return "\n".join(["---", *lines, "---", ""])


# What is below


def _about(parts: ModelParts, architecture: str | None) -> str:
    channels, height, width = parts.graph.input_shape
    kind = f"A network of the design {_code(architecture)}" if architecture else "A network"
    outputs = parts.graph.output_shape[0]
    what = {
        LOSSES[0]: f"the most probable of {outputs:,} classes",
        LOSSES[1]: f"which of {outputs:,} labels apply",
        LOSSES[2]: f"{outputs:,} number{'s' * (outputs != 1)}",
    }[parts.loss]
    return (
        f"{kind} that tells from a picture of {height} × {width} pixels and {channels} "
        f"channel{'s' * (channels != 1)} {what}. Written by neocog {__version__}."
    )


def _result(run: Mapping[str, Any], part: str) -> dict[str, Any] | None:
    found = _table(run, part)
    if not found:
        return None
    interval = _table(found, "accuracy_interval")
    return {
        "part": part,
        "count": _number(found.get("count")),
        "accuracy": _number(found.get("accuracy")),
        "low": _number(interval.get("low")),
        "high": _number(interval.get("high")),
        "level": _number(interval.get("level")),
        "f1": _number(_table(found, "macro").get("f1")),
        "ece": _number(_table(found, "calibration").get("ece")),
        "loss": _number(found.get("loss")),
    }


def _results(run: Mapping[str, Any], results: list[dict[str, Any]]) -> str:
    rows = []
    for one in results:
        count = "" if one["count"] is None else f"{int(one['count']):,}"
        between = ""
        if None not in (one["low"], one["high"], one["level"]):
            between = f"{100 * one['low']:.2f} to {100 * one['high']:.2f} %"
        loss = "" if one["loss"] is None else f"{one['loss']:.4f}"
        where = f"{one['part']} pictures of {_code(_data_name(run))}"
        shares = [_percent(one[key]) for key in ("accuracy", "f1", "ece")]
        rows.append((where, count, shares[0], between, *shares[1:], loss))
    level = next((one["level"] for one in results if one["level"] is not None), 0.95)
    names = (
        *("measured on", "pictures", "accuracy", f"{100 * level:g} % interval"),
        *("macro F1", "calibration error", "loss"),
    )
    return _rows(names, rows)


def _training(run: Mapping[str, Any]) -> str:
    settings, timings = _table(run, "settings"), _table(run, "timings")
    machine, versions = _table(run, "machine"), _table(run, "versions")
    facts: list[tuple[str, object]] = [("data", _data_name(run))]
    for key in _SETTINGS:
        value = settings.get(key)
        if isinstance(value, Mapping):
            inner = [f"{k}={v}" for k, v in value.items() if k != "type" and _is_plain(v)]
            value = f"{value.get('type', '')} {', '.join(inner)}".strip()
        facts.append((key.replace("_", " "), value))
    facts.append(("steps", run.get("steps")))
    facts.append(("time", _time(_number(timings.get("training_seconds")))))
    facts.append(("engine", run.get("engine")))
    cores = _number(machine.get("cores"))
    facts.append(("processor", machine.get("processor")))
    facts.append(("cores", None if cores is None else int(cores)))
    facts.append(("versions", ", ".join(f"{k} {v}" for k, v in versions.items() if _is_plain(v))))
    facts.append(("started", run.get("started")))
    return _facts(facts)


def _network(parts: ModelParts, architecture: str | None) -> str:
    counted = cost(parts.graph)
    look = parts.preprocessing
    resize = ", ".join(f"{key} {value}" for key, value in look.resize.to_dict().items())
    return _facts(
        [
            ("design", architecture),
            ("layers", len(counted.layers)),
            ("parameters", f"{counted.parameters:,}"),
            ("multiply-adds of a picture", f"{counted.multiply_adds:,}"),
            ("input", f"(pixel / 255 − mean) / std, mean {look.mean}, std {look.std}"),
            ("resizing", resize),
            ("trained by", parts.loss),
            ("temperature", f"{parts.temperature:g}"),
            ("threshold", None if parts.threshold is None else f"{parts.threshold:g}"),
        ]
    )


def _classes(classes: tuple[str, ...] | None) -> str:
    if classes is None:
        return "Their names are not known.\n"
    rows = [(str(n), _code(name)) for n, name in enumerate(classes[:_MOST_CLASSES])]
    more = len(classes) - len(rows)
    rest = f"\nAnd {more:,} more: `config.json` has them all.\n" if more else ""
    return _rows(("number", "class"), rows) + rest


# Markdown


def _code(text: str) -> str:
    """Text as code, where it is neither formatting, HTML nor a link."""
    shown = printable(text, _LONGEST_TEXT)
    if not shown.strip():
        return "(empty)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    space = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _facts(facts: Iterable[tuple[str, object]]) -> str:
    """A table of two columns, of those that are known."""
    return _rows(
        ("", ""),
        [(name, _code(str(value))) for name, value in facts if _is_plain(value) and value != ""],
    )


def _rows(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [names, ("---",) * len(names), *rows]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


# Values from a run.json


def _data_name(run: Mapping[str, Any]) -> str:
    name = _table(run, "data").get("name")
    return printable(name, _LONGEST_TEXT) if isinstance(name, str) and name else "unknown"


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, Mapping) else {}


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**63:
        return None
    return float(value) if math.isfinite(value) else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes = int(seconds // 60)
    return f"{minutes:,} min {seconds % 60:.0f} s" if minutes else f"{seconds:.1f} s"

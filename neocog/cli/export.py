"""``neocog export``."""

import json
from pathlib import Path

from neocog.cli.paths import out_path
from neocog.cli.terminal import counted, loading_progress, say, say_compiling
from neocog.engine import announced
from neocog.errors import NeocogError, printable
from neocog.exporting import PROGRAMS, SUFFIXES, Export, Quantized, check_export
from neocog.exporting import export as export_network
from neocog.formats import training_of
from neocog.limits import readable
from neocog.loading import data_for, open_saved
from neocog.run_info import run_of_model

__all__ = ["export"]


def export(
    model: str,
    architecture: str | None,
    to: str | None,
    out: str | None,
    overwrite: bool,
    pictures: bool,
    softmax: bool,
    int8: bool,
    data: str | None,
    json_: bool,
) -> int:
    """Write a saved network in another format; print how its results differ from neocog's."""
    path = _path(model, to, out)
    format_ = check_export(path, to, overwrite)  # before data are loaded
    if data is not None and format_ not in PROGRAMS:
        raise NeocogError(
            f"--data {printable(data)} is for {' and '.join(PROGRAMS)}: there is nothing to "
            f"compare of {format_}."
        )
    network, notes = open_saved(model, architecture)
    found = None
    if format_ in PROGRAMS:
        found, more = data_for(network, model, data, loading_progress())
        notes = (*notes, *more)
    for note in notes:
        say(note)
    with announced(say_compiling):
        written = export_network(
            network,
            path,
            to=to,
            pictures=pictures,
            softmax=softmax,
            int8=int8,
            data=found,
            overwrite=overwrite,
            notes=training_of(model),
            run=run_of_model(model),
        )
    if json_:
        print(json.dumps({"model": model, **written.to_dict()}))
    else:
        _print(written)
    return 0


def _path(model: str, to: str | None, out: str | None) -> Path:
    if out is not None:
        return out_path(out)
    place = Path(model).resolve()
    name = place.name if place.is_dir() else place.stem
    return Path(f"{name}-hub" if to == "hub" else f"{name}{SUFFIXES[to or 'onnx'][0]}")


def _print(written: Export) -> None:
    print(f"{written.path}: {written.format}, {readable(written.size)}")
    if written.inputs:
        print(f"{written.inputs} → {written.outputs}")
        print(f"{written.runtime}, differs from neocog")
    for one in written.differences:
        said = []
        if one.scores is not None:
            said.append(f"scores by at most {one.scores:.1e} of the largest")
        if one.probabilities is not None:
            said.append(f"probabilities by at most {one.probabilities:.1e}")
        print(f"  on {one.count} {printable(one.images)}: {', '.join(said)}")
    if written.quantized is not None:
        _print_cost(written.quantized)


def _print_cost(cost: Quantized) -> None:
    print(f"int8, with ranges from {counted(cost.calibrated, 'training picture')}:")
    lost = 100 * (cost.accuracy_before - cost.accuracy)
    print(
        f"  accuracy on {counted(cost.count, f'{cost.part} picture')}: {100 * cost.accuracy:.2f} % "
        f"(before: {100 * cost.accuracy_before:.2f} %, lost: {lost:.2f} points)"
    )
    print(f"  the same answer as before: {100 * cost.same:.2f} %")

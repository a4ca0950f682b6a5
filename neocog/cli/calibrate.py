"""``neocog calibrate``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.cli.evaluate import load_usual, open_model
from neocog.cli.loading import taken_out
from neocog.cli.paths import out_path
from neocog.cli.terminal import counted, say_compiling
from neocog.data import Dataset
from neocog.engine import announced
from neocog.errors import FormatError, NeocogError
from neocog.evaluation import Calibration, evaluate_classes, images_to_calibrate
from neocog.evaluation import calibrate as calibrate_network
from neocog.formats import is_hub_folder, is_onnx, is_weights, training_of
from neocog.losses import check_classifier
from neocog.network import Network
from neocog.network_files import save_model
from neocog.run_files import LAST, model_of_run
from neocog.validation import real

__all__ = ["calibrate"]


def calibrate(
    model: str,
    data: str | None,
    architecture: str | None,
    temperature: float | None,
    threshold: float | None,
    accuracy: float | None,
    out: str | None,
    threads: int | None,
    data_dir: str | None,
    json_: bool,
    **options: Any,
) -> int:
    """Fit a saved network's temperature, or set it, and its threshold, and save the network."""
    given = taken_out(options)
    path = _written(model, out)
    network = open_model(model, architecture)
    if temperature is not None:
        network.temperature = real("--temperature", temperature, above=0, wanted="above 0")
    if threshold is not None:
        network.threshold = real("--threshold", threshold, 0, 1)
    if accuracy is not None:
        real("--accuracy", accuracy, above=0, most=1, wanted="a part of 1, such as 0.99")
    found = None
    if temperature is None or accuracy is not None:
        check_classifier(network.loss, "Calibrating")
        images = _images(model, network, data, data_dir, given, threads)
        with announced(say_compiling):
            if temperature is None:
                found = calibrate_network(network, images, threads=threads)
            if accuracy is not None:
                network.threshold = _threshold_for(network, images, accuracy, threads)
    try:
        save_model(network, path, training_of(model))
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror or error}.") from error
    _say(network, found, path, json_)
    return 0


def _written(model: str, out: str | None) -> Path:
    """The path of the ``.safetensors`` file to write."""
    if out is not None:
        path = out_path(out)
        if path.suffix.lower() != ".safetensors":
            raise NeocogError(f"--out {out}: the name must end in .safetensors.")
        return path
    if is_weights(model):
        raise NeocogError(
            f"{model} holds weights alone, and can keep no temperature: name a .safetensors to "
            "write, as in --out model.safetensors"
        )
    if is_onnx(model):
        raise NeocogError(
            f"neocog does not write into {model}: name a .safetensors to write, as in "
            "--out model.safetensors"
        )
    path = Path(model)
    if not path.is_dir():
        return path
    found = model_of_run(path)
    if found is None and is_hub_folder(path):
        raise NeocogError(
            f"neocog does not write into {model}, whose files belong together: name a .safetensors "
            "to write, as in --out model.safetensors"
        )
    return found or path / LAST


def _images(
    model: str,
    network: Network,
    data: str | None,
    data_dir: str | None,
    given: Mapping[str, Any],
    threads: int | None,
) -> Dataset:
    """The images held out for validation; of pictures that are all new, every one."""
    judged = load_usual(model, network, data, data_dir, given, threads)
    return judged.images if judged.part == "all" else images_to_calibrate(judged.data)


def _threshold_for(
    network: Network, images: Dataset, accuracy: float, threads: int | None
) -> float:
    found = evaluate_classes(network, images, threads=threads).threshold_for(accuracy)
    if found is None:
        raise NeocogError(
            f"No threshold makes {100 * accuracy:g} % of the answers right on these "
            f"{counted(len(images), 'image')}. Ask for less, or set one by --threshold."
        )
    return found


def _say(network: Network, found: Calibration | None, path: Path, json_: bool) -> None:
    if json_:
        fitted = None if found is None else found.to_dict()
        kept = {"temperature": network.temperature, "threshold": network.threshold}
        print(json.dumps({"model": str(path), **kept, "fitted": fitted}))
        return
    source = "" if found is None else f", fitted on {counted(found.count, 'image')}"
    print(f"Temperature: {network.temperature:.4g}{source}")
    if found is not None:
        print(f"Loss: {found.loss:.4f} (before: {found.loss_before:.4f})")
        print(
            f"Expected calibration error: {100 * found.ece:.2f} % "
            f"(before: {100 * found.ece_before:.2f} %)"
        )
    if network.threshold is not None:
        print(f"Threshold: {network.threshold:.4g}")
    print(f"Model: {path}")

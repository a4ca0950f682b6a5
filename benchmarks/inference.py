"""Predictions of the named networks, beside PyTorch, ONNX Runtime and OpenVINO in the same run.

    python benchmarks/inference.py [--networks resnet20 …] [--rounds 5] [--write]

All sides compute scores from the same weights, one image at a time and 256 together; neocog starts
from bytes, the others from floats that are prepared. Each runs on one thread and on all cores,
PyTorch in both memory layouts, and what was fastest in a first turn goes on. Turns alternate, and
what is given is the median of the rounds' ratios. Compiling is left out. It needs
`pip install onnx onnxruntime onnxscript openvino` beside PyTorch.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch

from neocog import models
from neocog.engine import available_threads
from neocog.torch_engine.module import to_torch

sys.path.insert(0, str(Path(__file__).parent))

from networks import NETWORKS
from tables import write_table

BATCHES = (1, 256)
OTHERS = ("PyTorch", "ONNX Runtime", "OpenVINO")
HEAD = (
    "| network | images | neocog | PyTorch | ONNX Runtime | OpenVINO | times the best of them "
    "| difference |",
    "|---|---|---|---|---|---|---|---|",
)
# A turn lasts about so long, and has at least two predictions.
_SECONDS = 0.3
# All three have threads that wait awake for the next prediction for a while, in the others' way.
_PAUSE = 0.3


def _cores():
    return sorted({1, available_threads()})


def _by_torch(network, x):
    for threads in _cores():
        for form, name in ((torch.contiguous_format, "NCHW"), (torch.channels_last, "NHWC")):
            inputs = x.contiguous(memory_format=form)
            placed = to_torch(network).eval().to(memory_format=form)

            def run(threads=threads, placed=placed, inputs=inputs):
                if torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)
                with torch.inference_mode():
                    return placed(inputs).numpy()

            yield f"PyTorch, {threads} threads, {name}", run


def _by_engines(network, x):
    """Inference engines that read an ONNX file."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "network.onnx"
        torch.onnx.export(to_torch(network).eval(), (x,), file, input_names=["x"], dynamo=False)
        inputs = {"x": x.numpy()}
        for threads in _cores():
            how = onnxruntime.SessionOptions()
            how.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(file, how, providers=["CPUExecutionProvider"])
            yield (
                f"ONNX Runtime, {threads} threads",
                lambda session=session: session.run(None, inputs)[0],
            )
        # On the CPU it computes in bfloat16 where the processor can, unless told otherwise.
        how = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        for threads in _cores():
            compiled = openvino.Core().compile_model(
                str(file), "CPU", {**how, "INFERENCE_NUM_THREADS": threads}
            )
            yield (
                f"OpenVINO, {threads} threads",
                lambda compiled=compiled: compiled(inputs)[0],
            )


def _settle(network, x):
    """Give batch normalization the statistics of these images.

    With those of a new network the values of a deep one vanish: scores would say nothing.
    """
    module = to_torch(network).train()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
        elif isinstance(part, torch.nn.Dropout):
            part.eval()
    with torch.no_grad():
        module(x.repeat(2, 1, 1, 1))
    network.load_state_dict({name: t.numpy() for name, t in module.state_dict().items()})


def measure(name, network, batch, rounds):
    """One row: milliseconds of each side, and how far the scores differ."""
    network.initialize(0)
    c, h, w = network.input_shape
    images = np.random.default_rng(0).integers(0, 256, (batch, h, w, c), dtype=np.uint8)
    mean, std = network.preprocessing.mean, network.preprocessing.std
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = (x - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)
    x = x.contiguous()
    _settle(network, x[:4])
    sides = {"neocog": lambda: network.predict_scores(images, threads=None)}
    sides |= dict(_by_torch(network, x)) | dict(_by_engines(network, x))
    scores, counts, first = {}, {}, {}
    for side, run in sides.items():
        run()
        began = time.perf_counter()
        scores[side] = run()
        counts[side] = max(2, int(_SECONDS / (time.perf_counter() - began)))
        first[side] = _turn(run, counts[side])
    others = {
        kind: min((side for side in sides if side.startswith(kind)), key=first.__getitem__)
        for kind in OTHERS
    }
    turns = {"neocog": "neocog"} | others
    times = {kind: [] for kind in turns}
    for _ in range(rounds):
        for kind, side in turns.items():
            times[kind].append(_turn(sides[side], counts[side]))
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    best = min(OTHERS, key=medians.__getitem__)
    # Machines have slow spells: a round's two sides, one behind the other, are in the same.
    ratios = [b / a for a, b in zip(times["neocog"], times[best], strict=True)]
    exact = scores[others["PyTorch"]]
    return {
        "network": name,
        "batch": batch,
        "ms": medians,
        "least": min(times["neocog"]),
        "most": max(times["neocog"]),
        "times": statistics.median(ratios),
        "ratios": (min(ratios), max(ratios)),
        "off": float(np.abs(scores["neocog"] - exact).max() / np.abs(exact).max()),
    }


def _turn(run, count):
    """Milliseconds of one of so many predictions, once the last turn's threads sleep."""
    time.sleep(_PAUSE)
    run()
    began = time.perf_counter()
    for _ in range(count):
        run()
    return 1e3 * (time.perf_counter() - began) / count


def versions(rounds):
    """What stands above a table."""
    return (
        f"{os.cpu_count()} cores, PyTorch {torch.__version__}, ONNX Runtime "
        f"{onnxruntime.__version__}, OpenVINO {openvino.__version__.partition('-')[0]}; "
        f"milliseconds, medians of {rounds} rounds."
    )


def line(row):
    """A row in Markdown."""
    ms, (least, most) = row["ms"], row["ratios"]
    others = " | ".join(f"{ms[kind]:.3g}" for kind in OTHERS)
    return (
        f"| {row['network']} | {row['batch']} "
        f"| {ms['neocog']:.3g} ({row['least']:.3g}–{row['most']:.3g}) | {others} "
        f"| **{row['times']:.2f}** ({least:.2f}–{most:.2f}) | {row['off']:.0e} |"
    )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=["simple-cnn", *NETWORKS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into docs/networks.md")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    lines = [versions(options.rounds), "", *HEAD]
    print(*lines, sep="\n")
    for name in options.networks:
        for batch in BATCHES:
            lines.append(line(measure(name, models.make(name), batch, options.rounds)))
            print(lines[-1], flush=True)
    if options.write:
        write_table("docs/networks.md", "inference", "\n".join(lines))


if __name__ == "__main__":
    main()

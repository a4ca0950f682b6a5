"""Networks at 224 × 224, beside PyTorch, ONNX Runtime and OpenVINO in the same run.

    python benchmarks/photographs.py [--rounds 5] [--training] [--inference] [--write]

Predictions of one image and of 16 as in inference.py, training of 16 as in networks.py; the
networks are those of imagenet_networks.py. `--write` puts the tables into docs/networks.md.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

import inference
import networks
from imagenet_networks import efficientnet_lite0, resnet18
from tables import write_table

NETWORKS = {"EfficientNet-Lite0": efficientnet_lite0, "ResNet-18": resnet18}
#: Times as fast as PyTorch that training should be.
_BARS = {"EfficientNet-Lite0": 3.0, "ResNet-18": 2.0}
_BATCHES = (1, 16)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--training", action="store_true", help="only training")
    parser.add_argument("--inference", action="store_true", help="only predictions")
    parser.add_argument("--write", action="store_true", help="put tables into docs/networks.md")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    if not options.training:
        lines = [inference.versions(options.rounds), "", *inference.HEAD]
        print(*lines, sep="\n")
        for name, make in NETWORKS.items():
            for batch in _BATCHES:
                row = inference.measure(name, make(), batch, options.rounds)
                lines.append(inference.line(row))
                print(lines[-1], flush=True)
        if options.write:
            write_table("docs/networks.md", "photographs", "\n".join(lines))
    if not options.inference:
        rows = []
        for name, make in NETWORKS.items():
            rows.append(networks.measure(name, make(), 16, _BARS[name], options.rounds))
            print(networks.line(rows[-1]), flush=True)
        if options.write:
            text = networks.table(rows, options.rounds)
            write_table("docs/networks.md", "photographs training", text)


if __name__ == "__main__":
    main()

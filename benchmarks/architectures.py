"""Which architectures of torchvision and timm neocog can take over from PyTorch.

    python benchmarks/architectures.py [--only resnet18 …] [--write]

Each is built with random weights, converted by `torch_engine.from_torch`, and run on the same
noise by both sides; their scores are compared. `--write` puts the table into docs/architectures.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

from neocog.engine.predictor import Predictor
from neocog.errors import NeocogError
from neocog.preprocessing import Preprocessing
from neocog.torch_engine.from_torch import graph_from_torch

# Operators that torchvision's package names when it is imported, which PyTorch need not have.
_OPERATORS = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")
_OPERATORS += ("deform_conv2d", "_roi_align_backward", "_roi_pool_backward")
_OPERATORS += ("_ps_roi_align_backward", "_ps_roi_pool_backward", "_deform_conv2d_backward")

TORCHVISION = (
    *("alexnet", "vgg11", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"),
    *("densenet121", "squeezenet1_1", "googlenet", "inception_v3", "mobilenet_v2"),
    *("mobilenet_v3_small", "mobilenet_v3_large", "mnasnet1_0", "shufflenet_v2_x1_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny"),
)
TIMM = (
    *("resnet26d", "seresnet50", "ecaresnet50t", "skresnet18", "res2net50_26w_4s", "dpn68"),
    *("dla34", "hrnet_w18_small", "ese_vovnet19b_dw", "ghostnet_100", "mobilenetv1_100"),
    *("efficientnet_lite0", "tf_efficientnet_lite0", "tf_efficientnetv2_b0", "mixnet_s"),
    *("repvgg_a0", "mobileone_s0", "rexnet_100", "cspresnet50", "cspdarknet53", "darknet53"),
    *("convmixer_768_32", "gernet_s", "tinynet_a", "lcnet_050", "fbnetc_100", "semnasnet_075"),
    *("spnasnet_100", "xception41", "inception_v4", "selecsls42b", "hardcorenas_a", "resnetv2_50"),
)


def _module(name):
    torch.manual_seed(0)
    if name in TORCHVISION:
        import torchvision

        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return getattr(torchvision.models, name)(weights=None, **extra).eval()
    import timm

    return timm.create_model(name, pretrained=False).eval()


def _settle(module, x):
    """Give batch normalization the statistics of noise, so that values neither vanish nor grow."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    module.train()
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.eval()
    with torch.no_grad():
        module(x)
    module.eval()


def attempt(name, side=None):
    """What came out: the relative difference of scores, or the reason why there are none."""
    module = _module(name)
    side = side or (299 if "inception" in name else 224)
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    _settle(module, x)
    graph, state = graph_from_torch(module, (3, side, side))
    preprocessing = Preprocessing((0.5,) * 3, (0.5,) * 3)
    scores = Predictor(graph, state, preprocessing).predict(images)[0]
    with torch.no_grad():
        wanted = module(x).numpy()
    return len(graph.nodes), float(np.abs(scores - wanted).max() / np.abs(wanted).max())


def main():
    """Convert and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[*TORCHVISION, *TIMM])
    parser.add_argument("--convert", action="store_true", help="only convert, run nothing")
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    options = parser.parse_args()
    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(f"{operator}(Tensor x) -> Tensor")
    lines = ["| architecture | layers | scores differ by |", "|---|---|---|"]
    agreed = 0
    for name in options.only:
        try:
            if options.convert:
                side = 299 if "inception" in name else 224
                graph, _ = graph_from_torch(_module(name), (3, side, side))
                layers, off = len(graph.nodes), 0.0
            else:
                layers, off = attempt(name)
            agreed += off < 1e-3
            lines.append(f"| {name} | {layers} | {off:.0e} |")
        except NeocogError as error:
            lines.append(f"| {name} | – | {error} |")
        print(lines[-1], flush=True)
    lines.insert(0, f"{agreed} of {len(options.only)} agree.\n")
    print(lines[0])
    if options.write:
        write_table("docs/architectures.md", "architectures", "\n".join(lines))


if __name__ == "__main__":
    main()

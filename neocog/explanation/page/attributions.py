"""The attribution maps of an explanation, packed for the page."""

from typing import Any

import numpy as np

from neocog.explanation.attribution import Attribution, chosen_layer
from neocog.explanation.explanation import Explanation
from neocog.explanation.faithfulness import is_large
from neocog.explanation.page.message import Block

__all__ = ["pack_attributions"]


def pack_attributions(explanation: Explanation, block: Block) -> dict[str, Any]:
    """Every method's map and curves; Grad-CAM's for some layers."""
    grad_cams = {}
    for name in _grad_cam_layers(explanation):
        grad_cam = explanation.grad_cam(name)
        weights = np.zeros(0) if grad_cam.weights is None else grad_cam.weights
        grad_cams[name] = {"weights": block.add(weights), **_pack(grad_cam, block)}
    product, occlusion = explanation.gradient_times_input(), explanation.occlusion()
    return {
        "gradCam": {"chosen": chosen_layer(explanation.score_maps), "layers": grad_cams},
        "gradientTimesInput": _pack(product, block),
        "occlusion": _pack(occlusion, block),
        "chance": _pack(explanation.chance, block, with_map=False),
    }


def _pack(attribution: Attribution, block: Block, with_map: bool = True) -> dict[str, Any]:
    return {
        **({"map": block.add(attribution.map)} if with_map else {}),
        "deleted": block.add(attribution.deleted),
        "inserted": block.add(attribution.inserted),
        "deletion": attribution.deletion,
        "insertion": attribution.insertion,
    }


def _grad_cam_layers(explanation: Explanation) -> list[str]:
    """The layers that the page offers for Grad-CAM: some of those whose maps are at least 2 × 2.

    If there are too many, they are spread evenly over the network.
    """
    layers = explanation.layers
    most = 3 if is_large(explanation.network) else 6
    spatial = [
        name
        for name, layer in layers.items()
        if layer.type != "Image" and layer.output.ndim == 3 and min(layer.output.shape[1:]) >= 2
    ]
    chosen = chosen_layer(explanation.score_maps)
    if len(spatial) > most:
        # Rather the maps that blocks end with than those between their layers.
        ends = [n for n in spatial if not layers[n].type.startswith(("Conv", "Batch"))]
        pool = ends if len(ends) >= most else spatial
        spatial = [pool[round(k * (len(pool) - 1) / (most - 1))] for k in range(most)]
    if chosen not in spatial:
        spatial.append(chosen)
    return [name for name in layers if name in spatial]

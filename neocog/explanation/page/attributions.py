"""The attribution maps of an explanation, packed for the page."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from neocog.explanation.attribution import Attribution, chosen_layer
from neocog.explanation.effort import effort_for
from neocog.explanation.explanation import Explanation
from neocog.explanation.page.message import Block

__all__ = ["pack_attributions"]

# Channels of Grad-CAM's sum that are shown.
_TERMS = 6


def pack_attributions(
    explanation: Explanation, block: Block, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, Any]:
    """Every method's map and curves; Grad-CAM's for some layers.

    Args:
        explanation: of the network.
        block: gets the numbers.
        progress: told what is computed, and how many of the maps and predictions there are.
    """

    def tell(what: str, done: int, total: int) -> None:
        if progress is not None:
            progress(what, done, total)

    names, grad_cams = _grad_cam_layers(explanation), {}
    for done, name in enumerate(names, 1):
        grad_cam = explanation.grad_cam(name)
        packed = {**_pack(grad_cam, block), **_pack_terms(explanation, grad_cam, block)}
        grad_cams[name] = packed
        tell("Grad-CAM", done, len(names))
    occlusion = explanation.occlusion(progress=partial(tell, "occlusion"))
    return {
        "gradCam": {"chosen": chosen_layer(explanation.score_maps), "layers": grad_cams},
        "gradientTimesInput": _pack(explanation.gradient_times_input(), block),
        "occlusion": _pack(occlusion, block),
        "chance": _pack(explanation.chance, block, with_map=False),
    }


def _pack_terms(explanation: Explanation, grad_cam: Attribution, block: Block) -> dict[str, Any]:
    """The channels that add most to Grad-CAM's sum: their ``weights`` and ``maps``."""
    maps = explanation.score_maps[grad_cam.layer]["output"]
    weights = np.zeros(len(maps)) if grad_cam.weights is None else grad_cam.weights
    shares = np.abs(weights * maps.sum(axis=(1, 2), dtype=np.float64))
    best = np.argsort(-shares, kind="stable")[:_TERMS]
    return {
        "channels": best.tolist(),
        "weights": block.add(weights[best]),
        "maps": block.add(maps[best]),
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
    most = effort_for(explanation.network).layers
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
        apart = (len(pool) - 1) / max(1, most - 1)
        spatial = [pool[round(k * apart)] for k in range(most)]
    if chosen not in spatial:
        spatial.append(chosen)
    return [name for name in layers if name in spatial]

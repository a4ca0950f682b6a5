"""The way from a graph to its operations."""

from collections import Counter

from neocog.engine.lowering.builder import Lowering
from neocog.engine.lowering.fusion import fold_normalization, take_in_pointwise, take_in_relu
from neocog.engine.lowering.layer_rules import lowers
from neocog.engine.ops import LoadOp, Op, PointwiseOp
from neocog.engine.tensor import Tensor
from neocog.errors import ArchitectureError
from neocog.layers import Graph

__all__ = ["lower"]


def lower(
    graph: Graph, *, training: bool, single_image: bool = False, unfused: bool = False
) -> list[Op]:
    """The operations of a network, first to last; the first loads images.

    Args:
        graph: what to lower.
        training: whether it is to learn.
        single_image: whether they are for one image at a time.
        unfused: whether every layer is an operation of its own, as a look at each of them wants:
            nothing is taken in or folded, convolutions are direct, dropout is nothing, batch
            normalization keeps to its running statistics, and the image, behind an operation that
            copies it, has a gradient.

    Raises:
        ArchitectureError: if the network does not end in one number a class, learns nothing, or
            has a layer that the engine has no kernels for.
    """
    if len(graph.output_shape) != 1:
        raise ArchitectureError(
            f"The network ends in the shape {graph.output_shape}; it must end in one number a "
            "class: add Flatten() and Linear(…) at the end."
        )
    lowering = Lowering(graph.shapes, training, single_image, unfused)
    last = _lower_nodes(graph, lowering)
    if (last.height, last.width) != (1, 1):
        raise ArchitectureError(
            f"The network ends in a flattened map of {last.height} × {last.width} pixels; it must "
            "end in one number a class: add Linear(…) at the end."
        )
    if not last.learns:
        raise ArchitectureError("The network has no layer that learns.")
    last.consumers += 1
    if not training:
        fold_normalization(lowering.ops)
    if not unfused:
        take_in_relu(lowering.ops, training=training)
        if not training:
            take_in_pointwise(lowering.ops)
    for op in lowering.ops:
        op.ask_borders()
    return lowering.ops


def _lower_nodes(graph: Graph, lowering: Lowering) -> Tensor:
    """Operations for the image and every node; gives the last one's tensor."""
    channels, height, width = graph.input_shape
    image = Tensor("input", height, width, channels, dense=True)
    lowering.ops.append(LoadOp("input", (), image))
    if lowering.unfused:
        copy = Tensor("image.y", height, width, channels, learns=True)
        image = lowering.add(PointwiseOp("image", (image,), copy, order=3))
    readers = Counter(source for sources in graph.sources for source in sources)
    image.shared = readers[-1] > 1
    tensors = {-1: image}
    for i in _order(graph):
        node = graph.nodes[i]
        rule = lowers.of(node.layer)
        if rule is None:
            kind = type(node.layer).__name__
            raise ArchitectureError(
                f"{node.name}: there are no kernels for {kind}, so a network with it can be "
                "described and computed by neocog.reference, but neither trained nor predict."
            )
        inputs = (tensors[source] for source in graph.sources[i])
        tensors[i] = rule(lowering, node.name, node.layer, *inputs)
        tensors[i].shared = tensors[i].shared or readers[i] > 1
    return tensors[len(graph.nodes) - 1]


def _order(graph: Graph) -> list[int]:
    """The nodes in the order of their computation, each behind those that it reads.

    Of several inputs the last is computed first: the first then comes right before what reads it,
    and can be one operation with that.
    """
    order: list[int] = []
    done = {-1}
    waiting = [len(graph.nodes) - 1]
    while waiting:
        missing = [source for source in graph.sources[waiting[-1]] if source not in done]
        if missing:
            waiting.append(missing[-1])
            continue
        done.add(waiting[-1])
        order.append(waiting.pop())
    return order

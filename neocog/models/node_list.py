"""Collects the nodes of a network whose layers have the names of another program."""

from neocog.layers import Add, BatchNorm2d, Conv2d, Layer, Node

__all__ = ["NodeList"]


class NodeList:
    """Nodes in the order in which they are added; by default each reads the one before.

    Attributes:
        nodes: the nodes so far.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a layer; returns its name, for those that read it.

        Args:
            name: full name of the layer.
            layer: the layer.
            *inputs: names of the layers that it reads; by default the one added before.
        """
        self.nodes.append(Node(name, layer, inputs))
        return name

    def normalized(
        self, names: tuple[str, str, str], conv: Conv2d, norm: BatchNorm2d, act: Layer | None
    ) -> str:
        """Add a convolution, its batch normalization and an activation, if there is one.

        Args:
            names: of the three.
            conv: the convolution.
            norm: its batch normalization.
            act: the activation.
        """
        self.add(names[0], conv)
        last = self.add(names[1], norm)
        return last if act is None else self.add(names[2], act)

    def shortcut(self, name: str, before: str | None) -> str:
        """Add the sum of the last node and the one called `before`; nothing if that is None."""
        last = self.nodes[-1].name
        return last if before is None else self.add(name, Add(), last, before)

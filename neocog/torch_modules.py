"""Networks from PyTorch's modules."""

from typing import Any

from neocog.extras import module_of_extra
from neocog.layers import Shape
from neocog.network import Network
from neocog.preprocessing import Preprocessing

__all__ = ["from_torch"]


def from_torch(
    module: Any,
    input_shape: Shape | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    preprocessing: Preprocessing | None = None,
) -> Network:
    """A network with the layers, names and weights of a PyTorch module.

    The module's code is traced by ``torch.fx``, or by ``torch.export`` where what it does depends
    on shapes; calls of modules, of ``torch.nn.functional`` and of tensors become layers. It is
    taken as in evaluation, whatever its mode; batch statistics come along, and so does dropout.
    Linear layers between maps of one pixel, as of squeeze and excitation, become convolutions.

    Args:
        module: a ``torch.nn.Module``, or a program that ``torch.export.export`` made of one, or
            ``torch.export.load`` read from a ``.pt2``, which must be from someone you trust. It
            takes preprocessed images, float32 [n, channels, height, width], and returns scores.
        input_shape: (channels, height, width) of an image; a program has its own.
        classes: names of the classes, if known.
        preprocessing: how pixels become inputs; by default mean and std are 0.5, so that inputs are
            from −1 to 1.

    Raises:
        ArchitectureError: the message names the module or the call that is no layer.
        NeocogError: PyTorch is not installed.
    """
    home = "neocog.torch_engine.from_torch"
    torch = module_of_extra(home, "from_torch()", "PyTorch", "torch")
    graph, state = torch.graph_from_torch(module, input_shape)
    network = Network.from_graph(graph, classes, preprocessing)
    network.load_state_dict(state)
    return network

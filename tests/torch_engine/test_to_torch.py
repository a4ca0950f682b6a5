"""Networks as PyTorch modules: plain ones, with the same names, weights and scores; and back."""

import copy
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from graph_networks import of_products, of_sums, three_lanes

import neocog
from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    LayerNorm2d,
    Linear,
    Multiply,
    Node,
    Residual,
    Scale,
    Sequential,
    Slice,
)
from neocog.network import Network

torch = pytest.importorskip("torch")
from torch_journeys import assert_same_bits, assert_same_scores, randomized  # noqa: E402

# With the names of torchvision's modules and parameters, and with timm's.
PHOTOGRAPHS = ("efficientnet-lite0", "resnet18-224")


def named(name):
    small, width = ((3, 64, 64), 0.25) if name in neocog.models.PHOTOGRAPHS else ((3, 16, 17), 0.1)
    shape = (3, 25, 25) if name == "airbench" else small
    return lambda: neocog.models.make(name, 5, width=width, input_shape=shape)


def of_own_modules():
    """Every layer that PyTorch has no module for, in containers."""
    return Network(
        input_shape=(4, 6, 5),
        stem=Sequential(conv=Conv2d(4, 6, 3, padding=1), norm=LayerNorm2d(6), twice=Scale(2.0)),
        plain=LayerNorm2d(6, 1e-5, False),
        block=Residual(
            Sequential(conv=Conv2d(6, 4, 3, padding=1), norm=BatchNorm2d(4)), Slice(1, 5)
        ),
        flatten=Flatten(),
        fc=Linear(120, 3),
    )


def of_dotted_names():
    """As other programs have them, where a sum has the name of what holds its parts."""
    return Network.from_nodes(
        [
            Node("body.0", Conv2d(3, 4, 3, padding=1)),
            Node("body.block.conv", Conv2d(4, 4, 3, padding=1)),
            Node("body.block.norm", BatchNorm2d(4)),
            Node("body.block", neocog.Add(), ("body.block.norm", "body.0", "body.block.conv")),
            Node("gate.0", AdaptiveAvgPool2d(1)),
            Node("gate.1", Conv2d(4, 4, 1)),
            Node("gate", Multiply(), ("body.block", "gate.1")),
            Node("both", Concat(), ("gate", "body.0")),
            Node("flatten", Flatten()),
            Node("head.fc", Linear(8 * 30, 4)),
        ],
        input_shape=(3, 6, 5),
    )


NETWORKS = {name: named(name) for name in (*neocog.models.SMALL_IMAGES, *PHOTOGRAPHS)} | {
    "three lanes": three_lanes,
    "sums": of_sums,
    "products": of_products,
    "own modules": of_own_modules,
    "dotted names": of_dotted_names,
}


def made(name):
    return randomized(NETWORKS[name]())


each = pytest.mark.parametrize(
    "name",
    [
        # These are large, and kernels of so many shapes compile for long.
        pytest.param(one, marks=pytest.mark.thorough if one in neocog.models.PHOTOGRAPHS else ())
        for one in NETWORKS
    ],
)


@each
def test_scores_are_the_same(name):
    network = made(name)
    assert_same_scores(network, network.to_torch().eval())


@each
def test_weights_go_there_and_back_bit_by_bit(name):
    network = made(name)
    state = network.state_dict()
    module = network.copy().to_torch()
    assert_same_bits(state, module.state_dict())
    other = NETWORKS[name]().to_torch()
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    other.load_state_dict(tensors, strict=True)
    again = NETWORKS[name]().copy()
    again.load_state_dict(other.state_dict())
    assert_same_bits(state, again.state_dict())


@each
def test_the_module_becomes_the_same_network(name):
    network = made(name)
    found = neocog.from_torch(network.to_torch(), network.input_shape)
    assert [(n.name, n.layer, n.inputs) for n in found.graph.nodes] == [
        (n.name, n.layer, n.inputs) for n in network.graph.nodes
    ]
    assert_same_bits(network.state_dict(), found.state_dict())


@each
def test_no_class_is_of_neocog(name):
    module = made(name).to_torch()
    for part in module.modules():
        for kind in type(part).__mro__:
            assert not kind.__module__.startswith("neocog"), kind
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks):
            assert not hooks
    assert b"neocog" not in pickle.dumps(module)
    assert module.training


WITHOUT = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "neocog":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refused())
import numpy, torch
torch.set_num_threads(1)
x = torch.from_numpy(numpy.load("x.npy"))
found = {}
for name in sys.argv[1:]:
    module = torch.load(name, weights_only=False).eval()
    assert not any(one.partition(".")[0] == "neocog" for one in sys.modules)
    with torch.no_grad():
        numpy.save(name + ".npy", module(x).numpy())
"""


def test_it_is_loaded_where_neocog_cannot_be_imported(tmp_path):
    networks = [randomized(one()) for one in (three_lanes, of_dotted_names_of_six)]
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    wanted = []
    for n, network in enumerate(networks):
        module = network.to_torch().eval()
        torch.save(module, tmp_path / f"{n}.pt")
        with torch.no_grad():
            wanted.append(module(torch.from_numpy(x)).numpy())
    names = [f"{n}.pt" for n in range(len(networks))]
    subprocess.run([sys.executable, "-c", WITHOUT, *names], cwd=tmp_path, check=True)
    for name, scores in zip(names, wanted, strict=True):
        # By as many threads as that process has.
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), scores, rtol=1e-5, atol=1e-6)


def of_dotted_names_of_six():
    nodes = of_dotted_names().graph.given
    return Network.from_nodes([*nodes[:-1], Node("fc", Linear(288, 4))], input_shape=(3, 6, 6))


@pytest.mark.parametrize(
    "name",
    [
        *("own modules", "dotted names"),
        *(pytest.param(one, marks=pytest.mark.thorough) for one in ("resnet8", "sums", "products")),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The TorchScript type system")
def test_copies_scripts_and_programs_give_the_same(name):
    module = made(name).to_torch().eval()
    x = torch.randn(2, *NETWORKS[name]().input_shape)
    file = io.BytesIO()
    with torch.no_grad():
        wanted = module(x)
        torch.save(module, file)
        file.seek(0)
        others = {
            "copied": copy.deepcopy(module),
            "saved": torch.load(file, weights_only=False),
            "scripted": torch.jit.script(module),
            "exported": torch.export.export(module, (x,)).module(),
        }
        for how, other in others.items():
            torch.testing.assert_close(other(x), wanted, rtol=1e-6, atol=1e-6, msg=how)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler warns of parts of PyTorch
def test_it_is_compiled():
    module = made("resnet8").to_torch().eval()
    x = torch.randn(2, *NETWORKS["resnet8"]().input_shape)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(module)(x), module(x), rtol=1e-4, atol=1e-5)


def test_it_trains():
    """Its gradients and statistics are those of modules written by hand."""
    network = of_own_modules()
    network.initialize(0)
    module = network.to_torch()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    loss = module(torch.randn(4, *network.input_shape)).square().mean()
    loss.backward()
    optimizer.step()
    after = module.state_dict()
    assert int(after["block.body.norm.num_batches_tracked"]) == 1
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == set(after)
    network.load_state_dict(after)
    assert_same_scores(network, module.eval())


def test_tensors_of_other_kinds_are_taken():
    network = randomized(of_own_modules())
    state = network.to_torch().state_dict()
    learned = dict(network.to_torch().named_parameters())
    network.load_state_dict({**state, **learned})  # these want gradients
    short = {
        name: value.bfloat16() if value.is_floating_point() else value
        for name, value in state.items()
    }
    network.load_state_dict(short)
    found = network.state_dict()
    for name, value in short.items():
        np.testing.assert_array_equal(found[name], value.to(state[name].dtype).numpy())


def test_a_network_without_weights_gets_those_of_pytorch():
    network = of_own_modules()
    torch.manual_seed(3)
    module = network.to_torch()
    network.initialize(3)
    assert_same_bits(network.state_dict(), module.state_dict())


def test_without_pytorch_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "neocog.torch_engine.module", None)
    monkeypatch.setitem(sys.modules, "neocog.torch_engine.from_torch", None)
    for what, call in (
        (r"to_torch\(\)", of_own_modules().to_torch),
        (r"from_torch\(\)", lambda: neocog.from_torch(torch.nn.ReLU(), (3, 4, 4))),
    ):
        with pytest.raises(neocog.NeocogError, match=what + r" needs PyTorch.*'neocog\[torch\]'"):
            call()

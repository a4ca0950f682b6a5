"""The table of journeys: wherever a network has been, it gives the same scores.

Rows are the named networks and graphs of every kind, columns the ways through PyTorch, ONNX and
ONNX Runtime.
"""

import graph_networks
import numpy as np
import pytest
from onnx_networks import BOUND, apart, by_hand, named, noise, onnx, settled

from neocog.formats.onnx.fingerprint import DESCRIPTION
from neocog.formats.onnx.writing.session import OnnxSession
from neocog.formats.onnx.writing.writer import make_onnx
from neocog.models import PHOTOGRAPHS, SMALL_IMAGES, make
from neocog.network_files import load

GRAPHS = ("three_lanes", "of_sums", "of_products", "of_parts", "of_channels", "of_many_inputs")


def for_photographs(name):
    """A network for photographs; small ones show the same in a part of the time."""
    if name == "vgg11-bn":  # of a hundred million weights, a part; PyTorch pools 7 × 7 maps alone
        return settled(make(name, width=1 / 8))
    return settled(make(name, input_shape=(3, 64, 64)))


NETWORKS = {
    **{name: lambda name=name: named(name) for name in SMALL_IMAGES},
    **{name: lambda name=name: for_photographs(name) for name in PHOTOGRAPHS},
    **{name: lambda name=name: settled(getattr(graph_networks, name)()) for name in GRAPHS},
}


def written(network, folder, *, described=True):
    """The network's ONNX file; without its description it is as any other program's."""
    model = make_onnx(network.parts())
    entries = [one for one in model.metadata_props if described or one.key != DESCRIPTION]
    del model.metadata_props[:]
    model.metadata_props.extend(entries)
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def in_onnx_runtime(network, images, folder):
    session = OnnxSession(onnx.load(written(network, folder)), threads=1)
    return session.run(images)["scores"]


def back_in_neocog(network, images, folder):
    return load(written(network, folder)).predict_scores(images)


def read_by_its_operators(network, images, folder):
    return load(written(network, folder, described=False)).predict_scores(images)


def in_pytorch(network, images, _folder):
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    with torch.no_grad():
        return to_torch(network).eval()(torch.from_numpy(by_hand(network, images))).numpy()


def from_pytorch(exporter):
    """PyTorch → ONNX by this exporter → neocog → ONNX → ONNX Runtime."""

    def journey(network, images, folder):
        pytest.importorskip("torch")
        from onnx_exporters import EXPORTERS, exported

        from neocog.torch_engine.module import to_torch

        module = to_torch(network).eval()
        path = exported(module, folder / "torch.onnx", EXPORTERS[exporter], network.input_shape)
        found = load(path)
        found.preprocessing = network.preprocessing
        assert apart(found.predict_scores(images), network.predict_scores(images)) < BOUND
        return in_onnx_runtime(found, images, folder)

    return journey


JOURNEYS = {
    "neocog → ONNX → ONNX Runtime": in_onnx_runtime,
    "neocog → ONNX → neocog": back_in_neocog,
    "neocog → ONNX → neocog, by operators": read_by_its_operators,
    "neocog → PyTorch": in_pytorch,
    "PyTorch → ONNX (first) → neocog → ONNX → ONNX Runtime": from_pytorch("first"),
    "PyTorch → ONNX (second) → neocog → ONNX → ONNX Runtime": from_pytorch("second"),
}
# PyTorch's first exporter has no ChannelShuffle.
SHUFFLED = ("of_channels", "of_many_inputs")
# PyTorch's second exporter takes seconds for each network.
QUICK_NETWORKS = ("lenet5", "of_products")
QUICK = (*SMALL_IMAGES, *GRAPHS)


def marked(name, *, slow=False):
    """Deep networks take seconds, too."""
    return [pytest.mark.thorough] if slow or name not in QUICK else []


TABLE = [
    pytest.param(
        journey, name, marks=marked(name, slow="second" in journey and name not in QUICK_NETWORKS)
    )
    for journey in JOURNEYS
    for name in NETWORKS
    if not ("first" in journey and name in SHUFFLED)
]


@pytest.mark.parametrize(("journey", "name"), TABLE)
def test_scores(journey, name, tmp_path):
    network = NETWORKS[name]()
    images = noise(network, 3)
    found = JOURNEYS[journey](network, images, tmp_path)
    assert apart(found, network.predict_scores(images)) < BOUND


@pytest.mark.thorough
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_scores_at_the_networks_own_size(name, tmp_path):
    network = named(name)
    images = noise(network, 1)
    scores = network.predict_scores(images)
    assert apart(in_onnx_runtime(network, images, tmp_path), scores) < BOUND
    assert apart(in_pytorch(network, images, tmp_path), scores) < BOUND


@pytest.mark.parametrize("name", [pytest.param(name, marks=marked(name)) for name in NETWORKS])
def test_there_and_back_bit_for_bit(name, tmp_path):
    network = NETWORKS[name]()
    network.temperature, network.classes = 1.25, [f"é {i}" for i in range(*network.output_shape)]
    back = load(written(network, tmp_path))
    assert back.graph == network.graph  # containers, dropout and all arguments included
    assert (back.classes, back.temperature) == (network.classes, 1.25)
    assert back.preprocessing == network.preprocessing
    same_bits(back, network)
    images = noise(network, 3)
    assert back.predict_scores(images).tobytes() == network.predict_scores(images).tobytes()
    # Its operators alone give the same weights, too.
    same_bits(load(written(network, tmp_path, described=False)), network)


def same_bits(back, network):
    state = network.state_dict()
    found = back.state_dict()
    assert list(found) == list(state)
    for key, value in found.items():
        assert (value.dtype, value.tobytes()) == (state[key].dtype, state[key].tobytes()), key


def test_pictures_softmax_and_losses(tmp_path):
    """Each form of the file comes back as the same network."""
    network = named("lenet5")
    network.temperature = 0.5
    images = noise(network, 3)
    wanted = network.predict_proba(images)
    for pictures in (True, False):
        for softmax in (True, False):
            onnx.save(
                make_onnx(network.parts(), pictures=pictures, softmax=softmax), tmp_path / "a.onnx"
            )
            found = load(tmp_path / "a.onnx")
            np.testing.assert_array_equal(found.predict_proba(images), wanted)

"""No network asks for a kind of machine code that is not listed."""

import pkgutil
from importlib import import_module

import pytest
from engine_networks import NETWORKS
from graph_networks import of_sums, three_lanes
from hypothesis import HealthCheck, given, settings
from lowered import AVERAGING, trained
from test_random_networks import rows_of_eight

import neocog.kernels
from neocog import SGD, Adagrad, Adam, Muon, RMSprop, models
from neocog.engine.lowering import lower
from neocog.engine.schedule import inference_plan
from neocog.kernels.compiler.jit import Kernel
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.kinds import all_kinds, constants_of
from neocog.layers import AdaptiveAvgPool2d, Conv2d, Flatten, Linear
from neocog.network import Network
from neocog.settings.augmentation import Augmentation

ALL = all_kinds()
LISTED = {(one.code, kind_of(one.spec)) for one in ALL if one.spec is not None}
KERNELS = {kernel for kernel, _ in LISTED}

OPTIMIZERS = [SGD(0.1), Adam(0.1), RMSprop(0.1), Adagrad(0.1), Muon(0.1)]


def unlisted(plan):
    """The kinds that a plan asks for and that are not listed."""
    pairs = [(i.kernel, i.spec) for i in plan.instructions if i.kernel in KERNELS]
    missing = [(kernel, spec) for kernel, spec in pairs if (kernel, kind_of(spec)) not in LISTED]
    return sorted({f"{kernel.__name__}, {constants_of(spec)}" for kernel, spec in missing})


def asked(network, **settings):
    """What training it and predicting with it asks for, and is not listed."""
    found = []
    for batch in (1, 4, 24):
        found += unlisted(trained(network, batch, **settings))
    for single, workers in ((False, 1), (True, 1), (True, 3)):
        ops = lower(network.graph, training=False, single_image=single)
        found += unlisted(inference_plan(ops, single_image=single, workers=workers))
    return found


def kernels_of(module):
    return [one for one in vars(module).values() if isinstance(one, Kernel)]


def test_no_kernel_is_left_out():
    modules = pkgutil.walk_packages(neocog.kernels.__path__, "neocog.kernels.")
    kernels = {kernel for one in modules for kernel in kernels_of(import_module(one.name))}
    assert sorted(kernel.__name__ for kernel in kernels - KERNELS) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks(name):
    assert asked(NETWORKS[name]) == []


@pytest.mark.parametrize("name", models.MODELS)
def test_networks_by_name(name):
    assert asked(models.make(name)) == []


def test_graphs():
    assert asked(three_lanes()) == []
    assert asked(of_sums()) == []


@pytest.mark.parametrize("rule", OPTIMIZERS, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("averaging", AVERAGING)
def test_updates(rule, averaging):
    network = NETWORKS["three convolutions"]
    for clipped in (False, True):
        assert asked(network, rule=rule, averaging=averaging, clipped=clipped) == []
        assert asked(network, rule=rule, averaging=averaging, accumulate=3) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"flip": "random"},
        {"translate": 2},
        {"mixup": 0.2},
        {"cutout": 3},
        {"rotate": 10},
        {"trivial_augment": True},
        {"jitter": (0.1, 0.1, 0.1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation(changes, channels):
    network = Network(
        input_shape=(channels, 12, 12),
        conv=Conv2d(channels, 8, 3),
        pool=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        fc=Linear(8, 4),
    )
    assert asked(network, augmentation=Augmentation(**changes)) == []


@pytest.mark.parametrize(
    "options",
    [
        {"weighted": True},
        {"sample_weighted": True},
        {"stored": (20, 21), "augmentation": Augmentation(crop=(0.35, 1.0))},
        {"label_smoothing": 0.1},
        {"weighted": True, "label_smoothing": 0.1, "augmentation": Augmentation(mixup=0.2)},
    ],
)
def test_losses_and_larger_images(options):
    assert asked(NETWORKS["three convolutions"], **options) == []


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=rows_of_eight())
def test_random_networks(body):
    network = Network(
        input_shape=(3, 6, 5),
        first=Conv2d(3, 8, 3, padding=1),
        body=body,
        flatten=Flatten(),
        fc=Linear(240, 5),
    )
    assert asked(network) == []

"""From layers to plans: what runs as one, who shares memory with whom, and what is refused.

Nothing is compiled here.
"""

from itertools import pairwise

import numpy as np
import pytest

from neocog import SGD
from neocog.engine.lowering import lower
from neocog.engine.memory import Memory, memory_needed
from neocog.engine.ops import (
    ConvolutionOp,
    DepthwiseOp,
    DropoutOp,
    LinearOp,
    LoadOp,
    PointwiseOp,
    PoolingOp,
)
from neocog.engine.plan import Scope
from neocog.engine.program_options import ProgramOptions
from neocog.engine.schedule import inference_plan, training_plan
from neocog.engine.trainer import Trainer
from neocog.engine.update_plan import UpdatePlan
from neocog.errors import ArchitectureError, NeocogError
from neocog.kernels.augmentation import Augment
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Scale,
    Sequential,
)
from neocog.models import MODELS, make
from neocog.network import Network
from neocog.training.optimizers import Group, Muon


def ops_of(training=True, **layers):
    """The operations behind the one that loads images, of a network for images of 8 × 8."""
    first, *ops = lower(Network(input_shape=(3, 8, 8), **layers), training=training)
    assert isinstance(first, LoadOp)
    return ops


def kinds(ops):
    return [type(op) for op in ops]


def head(channels, side):
    """From maps to one number a class."""
    return {"flatten": Flatten(), "fc": Linear(channels * side * side, 5)}


# What runs as one


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("order", ["pool, relu", "relu, pool"])
def test_a_convolution_takes_in_pooling_and_relu(training, order):
    both = {"pool": MaxPool2d(2), "relu": ReLU()}
    between = {name: both[name] for name in order.split(", ")}
    ops = ops_of(training, conv=Conv2d(3, 8, 3, padding=1), **between, **head(8, 4))
    assert kinds(ops) == [ConvolutionOp, LinearOp]
    assert ops[0].pool
    assert ops[0].relu
    assert not ops[1].relu
    assert ops[0].y is ops[1].x
    assert (ops[0].y.height, ops[0].y.width) == (4, 4)


@pytest.mark.parametrize(
    "pool", [MaxPool2d(3), MaxPool2d(2, 1), MaxPool2d(2, 2, 1), AvgPool2d(2)], ids=str
)
def test_other_pooling_is_an_op_of_its_own(pool):
    ops = ops_of(conv=Conv2d(3, 8, 3, padding=1), pool=pool, m=AdaptiveAvgPool2d(), **head(8, 1))
    assert kinds(ops) == [ConvolutionOp, PoolingOp, PoolingOp, LinearOp]
    assert not ops[0].pool


@pytest.mark.parametrize(
    "conv", [Conv2d(4, 8, 3, groups=2, padding=1), Conv2d(4, 8, 2, dilation=2, padding=1)], ids=str
)
def test_a_convolution_that_cannot_pool_does_not(conv):
    ops = ops_of(c=Conv2d(3, 4, 1), conv=conv, pool=MaxPool2d(2), **head(8, 4))
    assert kinds(ops) == [ConvolutionOp, ConvolutionOp, PoolingOp, LinearOp]
    assert not ops[1].pool


def test_a_second_pooling_is_an_op_of_its_own():
    pools = {"p1": MaxPool2d(2), "p2": MaxPool2d(2)}
    ops = ops_of(conv=Conv2d(3, 8, 3, padding=1), **pools, **head(8, 2))
    assert kinds(ops) == [ConvolutionOp, PoolingOp, LinearOp]


def test_a_linear_layer_takes_in_relu_where_another_undoes_it():
    ops = ops_of(flatten=Flatten(), a=Linear(192, 7), r=ReLU(), b=Linear(7, 5), s=ReLU())
    assert kinds(ops) == [LinearOp, LinearOp, PointwiseOp]
    assert ops[0].relu
    assert not ops[1].relu, "no operation behind it undoes it on the way back"
    (op,) = ops_of(False, flatten=Flatten(), a=Linear(192, 7), r=ReLU())
    assert isinstance(op, LinearOp)
    assert op.relu, "there is no way back"


def test_relu_whose_map_has_two_readers_stays_an_op():
    inside = Residual(Conv2d(8, 8, 3, padding=1))
    ops = ops_of(conv=Conv2d(3, 8, 3, padding=1), r=ReLU(), block=inside, **head(8, 8))
    kind = [ConvolutionOp, PointwiseOp, ConvolutionOp, PointwiseOp, LinearOp]
    assert kinds(ops)[:4] == kind[:4]
    assert not ops[0].relu
    assert ops[1].function == "relu"


def test_normalization_sum_and_function_are_one_op():
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1), norm=BatchNorm2d(8))
    layers = {"first": Conv2d(3, 8, 1), "block": Residual(body), "act": GELU()}
    ops = ops_of(**layers, **head(8, 8))
    point = ops[2]
    assert kinds(ops)[:3] == [ConvolutionOp, ConvolutionOp, PointwiseOp]
    assert (point.name, point.norm, point.function) == (
        "block.body.norm",
        body.layers[1][1],
        "gelu",
    )
    assert point.addend is ops[0].y
    # What comes before the sum, and what comes behind the function, is not part of it.
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1), act=ReLU())
    layers = {"first": Conv2d(3, 8, 1), "block": Residual(body), "act": GELU(), "s": Scale(2.0)}
    found = [s for s in ops_of(**layers, **head(8, 8)) if isinstance(s, PointwiseOp)]
    assert [s.function for s in found][:3] == ["relu", "gelu", "scale"]
    assert [s.addend is not None for s in found][:3] == [False, True, False]


def test_for_inference_normalization_is_in_the_weights():
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1, bias=False), norm=BatchNorm2d(8))
    layers = {
        "conv": Conv2d(3, 8, 3, padding=1),
        "norm": BatchNorm2d(8),
        "relu": ReLU(),
        "block": Residual(body),
        "depth": Conv2d(8, 8, 3, groups=8, padding=1),
        "norm2": BatchNorm2d(8),
        "drop": Dropout(0.3),
        "pool": MaxPool2d(3),
        "norm3": BatchNorm2d(8),
    }
    ops = ops_of(False, **layers, **head(8, 2))
    assert kinds(ops)[:6] == [
        ConvolutionOp,
        ConvolutionOp,
        PointwiseOp,  # the sum
        DepthwiseOp,
        PoolingOp,
        PointwiseOp,  # behind pooling there is no weight to fold into
    ]
    assert [getattr(s, "folded", "") for s in ops][:4] == [
        "norm",
        "block.body.norm",
        "",
        "norm2",
    ]
    assert ops[0].relu
    assert [s.norm for s in ops if isinstance(s, PointwiseOp)][:2] == [None, layers["norm3"]]
    names = [p.name for p in ops[1].parameters()]
    assert names == ["block.body.conv.weight", "block.body.conv.bias"], "a bias comes into being"
    trained = ops_of(True, **layers, **head(8, 2))
    assert not any(getattr(op, "folded", "") for op in trained)
    assert kinds(trained).count(DropoutOp) == 1


def test_only_one_of_two_normalizations_is_folded():
    norms = {"one": BatchNorm2d(8), "two": BatchNorm2d(8)}
    ops = ops_of(False, conv=Conv2d(3, 8, 3, padding=1), **norms, **head(8, 8))
    assert ops[0].folded == "one"
    assert (ops[1].name, ops[1].norm) == ("two", norms["two"])


def test_a_normalization_whose_input_others_read_is_not_folded():
    lanes = Residual(BatchNorm2d(8), ReLU())
    ops = ops_of(False, conv=Conv2d(3, 8, 3, padding=1), block=lanes, **head(8, 8))
    assert ops[0].folded == ""
    assert any(isinstance(s, PointwiseOp) and s.norm is not None for s in ops)


def test_every_border_is_as_wide_as_its_widest_reader_wants():
    lanes = Residual(Conv2d(8, 8, 5, padding=2), Conv2d(8, 8, (3, 1), padding=(1, 0)))
    ops = ops_of(conv=Conv2d(3, 8, 3), block=lanes, **head(8, 6))
    assert ops[0].y.border == (2, 2)
    assert ops[0].x.border == (0, 0)


# Memory


def trained(network, batch=10, clipped=False, accumulate=1, averaging="", rule=None, **how):
    rule = rule or SGD(0.1, momentum=0.9)
    update_plan = UpdatePlan(rule.rule_for, clipped, accumulate, averaging)
    return training_plan(lower(network, training=True), batch, ProgramOptions(update_plan, **how))


def odd_network():
    """Blocks whose lanes are of different kinds, and dropout."""
    body = Sequential(
        conv=Conv2d(6, 6, 3, padding=1), drop=Dropout(0.5), pool=MaxPool2d(2), norm=BatchNorm2d(6)
    )
    return Network(
        input_shape=(3, 9, 8),
        conv=Conv2d(3, 6, 3, padding=1),
        block=Residual(body, AvgPool2d(2)),
        again=Residual(Residual(Conv2d(6, 6, 3, padding=1, groups=6)), Conv2d(6, 6, 1)),
        flatten=Flatten(),
        fc=Linear(6 * 4 * 4, 5),
    )


PLANS = {
    **{name: lambda name=name: trained(make(name), 64) for name in MODELS},
    "one image": lambda: trained(make("resnet8"), 1),
    "blocks of all kinds": lambda: trained(odd_network()),
    "every option": lambda: trained(
        odd_network(),
        clipped=True,
        accumulate=3,
        averaging="lookahead",
        augment=Augment(mixup=0.2, flip="random"),
        smoothing=0.1,
        weighted=True,
    ),
    "photographs": lambda: trained(
        make("lenet5"),
        augment=Augment(mixup=0.2, crop=(0.5, 1.0), rotate=5.0, trivial_augment=True),
        stored=(50, 40),
    ),
    "muon": lambda: trained(make("resnet8"), clipped=True, averaging="average", rule=Muon(0.02)),
    "frozen": lambda: trained(
        make("lenet5"), accumulate=2, rule=SGD(0.1, groups=(Group("*", frozen=True),))
    ),
    "inference": lambda: inference_plan(lower(make("resnet20"), training=False)),
    "inference of airbench": lambda: inference_plan(lower(make("airbench"), training=False)),
}
every_plan = pytest.mark.parametrize("name", PLANS)


def uses(plan):
    """The groups in which each buffer is read or written."""
    found = {}
    for g, group in enumerate(plan.groups):
        for instruction in group.instructions:
            for name in instruction.operands:
                if name is not None:
                    found.setdefault(name, []).append(g)
    return found


@every_plan
def test_every_operand_is_a_buffer(name):
    plan = PLANS[name]()
    assert uses(plan).keys() <= plan.buffers.keys()
    assert len({i.layer for i in plan.instructions}) > 3


@every_plan
def test_buffers_that_share_memory_are_never_needed_at_the_same_time(name):
    plan = PLANS[name]()
    used, tenants = uses(plan), {}
    for buffer in plan.buffers.values():
        if buffer.name in used and "+" not in buffer.name:
            tenants.setdefault(buffer.place or buffer.name, []).append(buffer)
    shared = {place: some for place, some in tenants.items() if len(some) > 1}
    for place, some in shared.items():
        owner = plan.buffers[place]
        assert owner in some
        some.sort(key=lambda b: min(used[b.name]))
        for buffer in some:
            assert buffer.scope is Scope.BATCH
            assert (buffer.size, buffer.offset) == (owner.size, 0)
            # Zeros around a map are written once, so they must be at the same places.
            assert buffer.layout == owner.layout is not None
        for before, after in pairwise(some):
            last, first = max(used[before.name]), min(used[after.name])
            assert last < first, f"{before.name} and {after.name}"
            # A worker keeps to its images from one group to the next; otherwise it must wait.
            own = plan.groups[last].items == plan.groups[first].items == 0
            assert own or any(group.barrier for group in plan.groups[last:first])
    if name in ("resnet20", "resnet18"):
        assert shared, "gradients of earlier layers lie where those of later ones were"


@every_plan
def test_parts_lie_within_their_whole_and_beside_each_other(name):
    plan = PLANS[name]()
    parts = [b for b in plan.buffers.values() if "+" in b.name]
    used = uses(plan)
    assert bool(parts) == (name in ("every option", "muon"))
    ends = sorted((b.place, b.offset) for b in parts)
    assert len(set(ends)) == len(ends)
    for part in parts:
        (group,) = (plan.groups[g] for g in used[part.name])
        after = [at for place, at in ends if place == part.place and at > part.offset]
        end = part.offset + 8 * group.items
        assert end <= min([*after, plan.buffers[part.place].size])


@every_plan
def test_a_buffer_of_a_chunk_lives_in_one_group(name):
    plan = PLANS[name]()
    chunks = 0
    for buffer, groups in uses(plan).items():
        if plan.buffers[buffer].scope is Scope.CHUNK:
            chunks += 1
            (g,) = set(groups)
            assert plan.groups[g].items == 0
            assert plan.groups[g].chunk == plan.buffers[buffer].chunk
    assert chunks


@every_plan
def test_a_step_ends_at_a_barrier_and_looks_at_its_losses_once(name):
    plan = PLANS[name]()
    steps = [group for group in plan.groups if group.every > 0]
    if name.startswith("inference"):
        assert not any(group.barrier for group in steps)
        return
    assert steps[-1].barrier, "or a worker begins the next step while others end this one"
    always = [group for group in steps if group.every == 1]
    assert sum(group.barrier for group in always) > 1, "or it writes losses that others still add"
    assert sum(group.check_loss for group in steps) == 1
    judged = next(g for g, group in enumerate(steps) if group.check_loss)
    assert steps[judged].barrier
    moving = [g for g, s in enumerate(steps) if any(i.layer == "update" for i in s.instructions)]
    assert bool(moving) == (name != "frozen")
    message = "a loss that is not finite ends the run before any update"
    assert all(judged < g for g in moving), message


@every_plan
@pytest.mark.parametrize("workers", [1, 3])
def test_memory_is_what_was_said_and_its_buffers_are_apart(name, workers):
    plan = PLANS[name]()
    batch = 2  # so that it is little; plans hold sizes of one image
    memory = Memory(plan, workers, batch)
    assert memory.size == memory_needed(plan, workers, batch)
    taken = []
    for buffer in plan.buffers.values():
        if buffer.scope in (Scope.OUTSIDE, Scope.WHOLE) or buffer.place:
            continue
        begin = memory.address(buffer.name, 0)
        last = memory.address(buffer.name, workers - 1)
        each = {Scope.CHUNK: buffer.chunk, Scope.BATCH: batch}.get(buffer.scope, 1)
        assert begin % 64 == 0, "a line of the cache"
        of_workers = buffer.scope in (Scope.CHUNK, Scope.WORKER)
        assert last - begin == (workers - 1) * each * buffer.size * of_workers
        taken.append((begin, last + each * buffer.size))
    taken.sort()
    for (_, end), (begin, _) in pairwise(taken):
        assert end + 64 <= begin, "a vector beyond its end may be read"
    assert taken[-1][1] - taken[0][0] <= memory.size
    whole = memory.array("scale", np.float32)
    assert (whole == 0).all()
    assert whole.ctypes.data == memory.address("scale", 0)


def test_memory_grows_with_images_and_threads():
    plan = PLANS["resnet8"]()
    sizes = [memory_needed(plan, workers, batch) for workers, batch in ((1, 8), (1, 16), (2, 16))]
    assert sizes[0] < sizes[1] < sizes[2]


def test_gradients_share_memory_so_that_deeper_networks_fit():
    plan = PLANS["resnet20"]()
    maps = [b for b in plan.buffers.values() if b.scope is Scope.BATCH and b.layout is not None]
    own = sum(b.size for b in maps if not b.place)
    assert own < 0.6 * sum(b.size for b in maps)


def test_more_memory_than_there_is_is_refused():
    network = make("resnet8")
    network.initialize(0)
    images = np.zeros((1, 32, 32, 3), np.uint8)
    refused = r"100000000 images at a time needs [\d.,]+ GiB .* Take a smaller batch\."
    with pytest.raises(NeocogError, match=refused):
        Trainer(
            network,
            images,
            np.zeros(1, np.int64),
            batch_size=100_000_000,
            optimizer=SGD(0.1),
            threads=1,
        )


# What cannot be


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"c": Conv2d(4, 8, 3)}, r"c: Conv2d: in_channels \(=4\).*3"),
        ({"c": Conv2d(3, 8, 9)}, r"c: Conv2d: .*9.*\(3, 8, 8\)"),
        ({"c": Conv2d(3, 8, 3, dilation=4)}, r"c: Conv2d: .*\(3, 8, 8\)"),
        ({"p": MaxPool2d(9)}, r"p: MaxPool2d: regions of 9 × 9 do not fit .*\(3, 8, 8\)"),
        (
            {"a": MaxPool2d(4), "b": MaxPool2d(2), "p": AvgPool2d(2)},
            r"p: AvgPool2d: regions of 2 × 2 do not fit .*\(3, 1, 1\)",
        ),
        ({"n": BatchNorm2d(4)}, r"n: BatchNorm2d: num_features \(=4\).*3"),
        ({"l": Linear(192, 5)}, r"l: Linear: in_features .* Flatten before it is missing"),
        ({"f": Flatten(), "l": Linear(191, 5)}, r"l: Linear: in_features \(=191\).* 192"),
        ({"f": Flatten(), "c": Conv2d(3, 8, 3)}, r"c: Conv2d takes feature maps .*\(192,\)"),
        ({"f": Flatten(), "p": MaxPool2d(2)}, r"p: MaxPool2d takes feature maps .*\(192,\)"),
        (
            {"r": Residual(Conv2d(3, 8, 3, padding=1))},
            r"r: Residual: the body gives \(8, 8, 8\) but its input is \(3, 8, 8\)",
        ),
        (
            {"r": Residual(Conv2d(3, 4, 3), Conv2d(3, 4, 1))},
            r"r: Residual: the body gives \(4, 6, 6\) but the shortcut gives \(4, 8, 8\)",
        ),
        (
            {"r": Residual(Sequential(c=Conv2d(3, 8, 3), n=BatchNorm2d(3)))},
            r"r\.body\.n: BatchNorm2d: num_features \(=3\)",
        ),
        (
            {"s": Sequential(t=Sequential(p=MaxPool2d(9)))},
            r"s\.t\.p: MaxPool2d: regions of 9 × 9",
        ),
    ],
)
def test_layers_that_do_not_fit_are_named(layers, message):
    with pytest.raises(ArchitectureError, match=f"^{message}"):
        Network(input_shape=(3, 8, 8), **layers)


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_groups_that_do_not_divide_the_channels(groups):
    divides = {2: (3, 8), 3: (3, 8), 4: (6, 8)}[groups]
    with pytest.raises(ArchitectureError, match=rf"Conv2d: .*groups \(={groups}\)"):
        Conv2d(*divides, 3, groups=groups)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"c": Conv2d(3, 5, 8)}, r"ends in the shape \(5, 1, 1\).*Flatten\(\)"),
        ({"f": Flatten()}, r"map of 8 × 8 pixels.*Linear"),
        ({"p": AdaptiveAvgPool2d(), "f": Flatten()}, "no layer that learns"),
        ({"c": Conv2d(3, 5, 7), "f": Flatten()}, r"map of 2 × 2 pixels.*Linear"),
        ({"c": Conv2d(3, 5, 7), "f": Flatten(), "r": ReLU()}, r"map of 2 × 2 pixels.*Linear"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_networks_that_do_not_end_in_classes(layers, message, training):
    with pytest.raises(ArchitectureError, match=message):
        lower(Network(input_shape=(3, 8, 8), **layers), training=training)


def test_muon_refuses_what_is_not_one_matrix():
    network = Network(
        input_shape=(4, 8, 8), deep=Conv2d(4, 8, 3, groups=2), f=Flatten(), l=Linear(288, 5)
    )
    with pytest.raises(NeocogError, match=r"Muon cannot move deep\.weight.* several groups"):
        trained(network, rule=Muon(0.02))

"""A plan's buffers: which share memory, and how much there is of it. Nothing is compiled."""

from itertools import pairwise

import numpy as np
import pytest
from engines import parts_of
from lowered import trained

from neocog import SGD
from neocog.engine.lowering import lower
from neocog.engine.memory import Memory, memory_needed
from neocog.engine.plan import Scope
from neocog.engine.schedule import inference_plan
from neocog.engine.trainer import Trainer
from neocog.errors import NeocogError
from neocog.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU6,
    Residual,
    Sequential,
)
from neocog.models import SMALL_IMAGES, make
from neocog.network import Network
from neocog.settings.augmentation import Augmentation
from neocog.settings.optimizers import Group, Muon
from neocog.settings.training import TrainingSettings


def photographs():
    """A network whose maps are so large that it runs over strips of them."""
    body = Sequential(
        conv=Conv2d(16, 64, 1, bias=False),
        norm=BatchNorm2d(64),
        relu=ReLU6(),
        depth=Conv2d(64, 64, 3, stride=2, padding=1, groups=64),
        norm2=BatchNorm2d(64),
        narrow=Conv2d(64, 8, 1),
    )
    stem = {"stem": Conv2d(3, 16, 3, stride=2, padding=1), "norm": BatchNorm2d(16), "body": body}
    head = {"pool": AdaptiveAvgPool2d(1), "flatten": Flatten(), "fc": Linear(8, 4)}
    return Network(input_shape=(3, 192, 192), **stem, **head)


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
    **{name: lambda name=name: trained(make(name), 64) for name in SMALL_IMAGES},
    "one image": lambda: trained(make("resnet8"), 1),
    "blocks of all kinds": lambda: trained(odd_network()),
    "every option": lambda: trained(
        odd_network(),
        clipped=True,
        accumulate=3,
        averaging="lookahead",
        augmentation=Augmentation(mixup=0.2, flip="random"),
        label_smoothing=0.1,
        weighted=True,
        sample_weighted=True,
    ),
    "photographs": lambda: trained(
        make("lenet5"),
        augmentation=Augmentation(mixup=0.2, crop=(0.5, 1.0), rotate=5.0, trivial_augment=True),
        stored=(50, 40),
    ),
    "muon": lambda: trained(make("resnet8"), clipped=True, averaging="average", rule=Muon(0.02)),
    "frozen": lambda: trained(
        make("lenet5"), accumulate=2, rule=SGD(0.1, groups=(Group("*", frozen=True),))
    ),
    "inference": lambda: inference_plan(lower(make("resnet20").graph, training=False)),
    "inference of one image": lambda: inference_plan(
        lower(make("resnet18").graph, training=False, single_image=True),
        single_image=True,
        workers=2,
    ),
    "strips": lambda: trained(photographs(), batch=3),
    "inference of airbench": lambda: inference_plan(lower(make("airbench").graph, training=False)),
}
every_plan = pytest.mark.parametrize("name", PLANS)


def uses(plan):
    """The groups in which each buffer is read or written."""
    found = {}
    for g, group in enumerate(plan.groups):
        for instruction in group.instructions:
            for name in instruction.operands:
                if name is not None:
                    strip = plan.buffers[name].strip
                    found.setdefault(plan.buffers[name].place if strip else name, []).append(g)
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
    parts = [b for b in plan.buffers.values() if "+" in b.name and not b.strip]
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
            (g,) = {plan.beginnings[g] for g in groups}
            assert plan.groups[g].items == 0
            assert plan.groups[g].chunk == plan.buffers[buffer].chunk
    assert bool(chunks) == (name != "inference of one image")


@every_plan
def test_a_step_ends_at_a_barrier_and_looks_at_its_losses_once(name):
    plan = PLANS[name]()
    steps = [group for group in plan.groups if group.every > 0]
    if name.startswith("inference"):
        waits = name == "inference of one image"  # for those that compute other rows
        assert all(group.barrier == waits for group in steps[:-1])
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
    wide = {"conv": Conv2d(3, 20_000, 1), "flatten": Flatten(), "fc": Linear(16 * 20_000, 2)}
    network = Network(input_shape=(3, 4, 4), **wide)
    network.initialize(0)
    refused = r"1000000 images at a time needs [\d.,]+ GiB .* Take a smaller batch\."
    with pytest.raises(NeocogError, match=refused):
        Trainer(
            *parts_of(network),
            np.zeros((1_000_000, 4, 4, 3), np.uint8),
            np.zeros(1_000_000, np.int64),
            TrainingSettings(batch_size=1_000_000, optimizer=SGD(0.1), threads=1),
        )

"""How far float32 may be from PyTorch in float64.

How far float32 may be off depends on the network: batch normalization of few values enlarges a
rounding, a ReLU near zero makes a jump of it, and every step passes it on to all later ones. What
it comes to in PyTorch's own float32, beside its float64, is the measure, the most of some runs from
weights a rounding apart (`RUNS`): of all losses, gradients or states of a network, the one of ours
that is most off may be so a few times as much as PyTorch's most is (`TIMES`), which sums in another
order, or by the rounding of a short sum (`LEAST`). A slip in a formula is off by a thousand times
that.

A bias before a batch normalization has a gradient of zero; what is there is rounding. So arrays are
measured by the largest number of their layer's.
"""

import numpy as np
import pytest
from engines import parts_of

from neocog import SGD, reference
from neocog.engine.trainer import Trainer
from neocog.settings.training import TrainingSettings

torch = pytest.importorskip("torch")
from neocog.torch_engine.module import to_torch  # noqa: E402

RUNS = 4
TIMES = 8
LEAST = 1e-6
# Nine whole batches and a smaller one.
BATCH, COUNT = 6, 58


def data_for(network, images=COUNT, seed=0):
    """Images and labels for a network."""
    rng = np.random.default_rng(seed)
    c, h, w = network.input_shape
    pixels = rng.integers(0, 256, (images, h, w, c), dtype=np.uint8)
    return pixels, rng.integers(0, network.output_shape[0], images)


class InTorch:
    """The network in PyTorch, in one precision, and what its training with momentum gives."""

    make_module = staticmethod(to_torch)

    def __init__(self, network, images, labels, precision, rate, run=0):
        torch.set_num_threads(1)
        p = network.preprocessing
        inputs = reference.preprocess(images, p.mean, p.std).astype(np.float64)
        self.inputs = torch.from_numpy(inputs).to(precision)
        self.labels = torch.from_numpy(labels)
        self.module = self.make_module(network).to(precision)
        noise = torch.Generator().manual_seed(run)
        with torch.no_grad():
            for parameter in self.module.parameters() if run else ():
                unfused = 2 * torch.rand(parameter.shape, generator=noise) - 1
                parameter *= 1 + 2.0**-23 * unfused
        self.sgd = torch.optim.SGD(self.module.parameters(), lr=rate, momentum=0.9)

    def scores(self):
        """What it says of the images when it is not trained."""
        self.module.eval()
        with torch.no_grad():
            return self.module(self.inputs).numpy()

    def steps(self, batches):
        """Their losses; the gradients of the last one are left behind."""
        self.module.train()
        losses = []
        for batch in batches:
            self.sgd.zero_grad()
            outputs = self.module(self.inputs[batch])
            loss = torch.nn.functional.cross_entropy(outputs, self.labels[batch])
            loss.backward()
            self.sgd.step()
            losses.append(loss.item())
        return losses

    def gradients(self):
        return {name: p.grad.numpy() for name, p in self.module.named_parameters()}

    def state(self):
        return {name: value.numpy() for name, value in self.module.state_dict().items()}


def trainer_of(network, images, labels, batch=BATCH, threads=2, **how):
    of_engine = {name: how.pop(name) for name in ("moves_momentum", "unfused") if name in how}
    how = {"optimizer": SGD(0.02, momentum=0.9), **how}
    settings = TrainingSettings(batch_size=batch, threads=threads, **how)
    return Trainer(*parts_of(network), images, labels, settings, **of_engine)


def as_arrays(values):
    return values if isinstance(values, dict) else {"values": np.asarray(values, np.float64)}


def layer_of(name):
    """The layer that a parameter or a running statistic belongs to."""
    return name.rpartition(".")[0]


def largest_of_layers(arrays):
    """The largest number of each layer's arrays, of those that are not counts."""
    found = {}
    for name, value in arrays.items():
        if value.ndim:
            largest = float(np.abs(value).max(initial=1e-12))
            found[layer_of(name)] = max(found.get(layer_of(name), 0.0), largest)
    return found


def differences(found, exact):
    """How far each array is off, as a part of the largest number of its layer."""
    found, exact = as_arrays(found), as_arrays(exact)
    assert found.keys() == exact.keys()
    largest = largest_of_layers(exact)
    parts = {}
    for name, value in exact.items():
        assert np.shape(found[name]) == value.shape
        if value.ndim:
            off = np.abs(np.asarray(found[name], np.float64) - value).max(initial=0)
            parts[name] = off / largest[layer_of(name)]
        else:  # a count of batches
            assert int(found[name]) == int(value), name
    return parts


class Yardstick:
    """PyTorch in float64, and how far it is off in float32."""

    def __init__(self, *of_what, side=InTorch):
        self.double = side(*of_what[:3], torch.float64, of_what[3])
        self.singles = [side(*of_what[:3], torch.float32, of_what[3], run) for run in range(RUNS)]

    def steps(self, batches, found):
        """Take steps, and compare their losses."""
        self.compare(found, lambda side: side.steps(batches), "losses")

    def compare(self, found, of, what):
        """That what is found is as near to float64's numbers as PyTorch's float32 is."""
        exact = of(self.double)
        most = max(max(differences(of(single), exact).values()) for single in self.singles)
        for name, off in differences(found, exact).items():
            allowed = TIMES * most + LEAST
            assert off <= allowed, f"{what}, {name}: off by {off:.1e}, more than {allowed:.1e}"


def compare(network, images, labels, batch=BATCH, threads=2, rate=0.02):
    """A step, then all steps, then what the trained network says; gives the trainer."""
    torchs = Yardstick(network, images, labels, rate)
    torchs.compare(network.predict_scores(images, threads=1), InTorch.scores, "scores")

    trainer = trainer_of(network, images, labels, batch, threads, optimizer=SGD(rate, momentum=0.9))
    order = np.random.default_rng(1).permutation(len(images))
    batches = [order[at : at + batch] for at in range(0, len(order), batch)]
    torchs.steps(batches[:1], trainer.run(batches[0]))
    torchs.compare(trainer.gradients(), InTorch.gradients, "gradients")
    torchs.steps(batches[1:], trainer.run(order[batch:]))
    torchs.compare(trainer.state(), InTorch.state, "the state after all steps")

    # The same weights on all sides again, so that only the evaluation is compared.
    network.load_state_dict(trainer.state())
    torchs = Yardstick(network, images, labels, rate)
    torchs.compare(network.predict_scores(images, threads=2), InTorch.scores, "later scores")
    torchs.compare(
        network.predict_proba(images, threads=2),
        lambda side: reference.softmax(side.scores()),
        "probabilities",
    )
    return trainer

"""Explanations of several labels and of numbers, against PyTorch's gradients and arithmetic."""

import re

import numpy as np
import pytest
from target_networks import IMAGE, LOSSES, NAMES, TRUTH, network_of

import neocog
from neocog import reference
from neocog.errors import DataError

# Float32's roundings in sums of some hundred products.
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def by_torch(network, objective):
    """The outputs of IMAGE and the gradients of a function of them, in float64, by PyTorch."""
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    module = to_torch(network).double().eval()
    p = network.preprocessing
    x = torch.tensor(reference.preprocess(IMAGE[None], p.mean, p.std).astype(np.float64))
    x.requires_grad_()
    z = module(x)
    z.retain_grad()
    loss = objective(torch, z)
    loss.backward()
    gradients = {name: value.grad.numpy() for name, value in module.named_parameters()}
    return z.detach()[0].numpy(), loss.item(), z.grad[0].numpy(), x.grad[0].numpy(), gradients


def compare(explanation, found):
    z, loss, dz, dx, gradients = found
    np.testing.assert_allclose(explanation.scores, z, **CLOSE)
    np.testing.assert_allclose(explanation.loss, loss, **CLOSE)
    np.testing.assert_allclose(explanation.delta, dz, **CLOSE)
    np.testing.assert_allclose(explanation["image"].output_gradient, dx, **CLOSE)
    assert set(explanation.steps["sgd"].gradients) == set(gradients)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(explanation.steps["sgd"].gradients[name], gradient, **CLOSE)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_loss_and_its_gradients_are_pytorchs(loss, outputs):
    network, truth = network_of(loss, outputs), TRUTH[loss][:outputs]
    function = {"mse": "mse_loss", "binary-cross-entropy": "binary_cross_entropy_with_logits"}[loss]

    def objective(torch, z):
        of_loss = getattr(torch.nn.functional, function)
        return of_loss(z, torch.tensor(truth[None], dtype=torch.float64))

    found = neocog.explain(network, IMAGE, targets=truth)
    compare(found, by_torch(network, objective))
    np.testing.assert_array_equal(found.targets, truth)
    proba = network.predict_proba(IMAGE[None])[0]
    np.testing.assert_allclose(found.probabilities, proba, rtol=1e-6)
    assert found.label == (0 if loss == "mse" else proba.argmax())


@pytest.mark.parametrize("label", [None, "wet", 1])
def test_without_a_true_number_the_gradients_are_the_numbers_own(label):
    network = network_of("mse")
    place = {None: 0, "wet": 2, 1: 1}[label]
    found = neocog.explain(network, IMAGE, label)
    compare(found, by_torch(network, lambda _torch, z: z[0, place]))
    assert (found.label, found.targets) == (place, None)
    assert found.loss == pytest.approx(float(found.probabilities[place]))
    assert found.delta.tolist() == [float(n == place) for n in range(3)]


def test_delta_of_labels_is_probability_minus_target():
    found = neocog.explain(network_of("binary-cross-entropy"), IMAGE, targets=[1, 0, 0.25])
    y = 1 / (1 + np.exp(-found.scores.astype(np.float64)))
    np.testing.assert_allclose(found.probabilities, y, rtol=1e-6)
    np.testing.assert_allclose(found.uncalibrated, y, rtol=1e-6)
    np.testing.assert_allclose(found.delta, (y - [1, 0, 0.25]) / 3, rtol=1e-5)


def test_without_a_truth_the_given_labels_count_as_true_and_the_one_that_was_named():
    network = network_of("binary-cross-entropy")
    y = network.predict_proba(IMAGE[None])[0]
    given = (y >= 0.5).tolist()
    assert True in given and False in given  # or there would be nothing to see
    assert neocog.explain(network, IMAGE).targets.tolist() == given
    missing = given.index(False)
    named = neocog.explain(network, IMAGE, missing)
    assert named.targets.tolist() == [one or n == missing for n, one in enumerate(given)]
    assert named.label == missing
    network.threshold = float(y.max()) + 0.01
    assert neocog.explain(network, IMAGE).targets.tolist() == [0, 0, 0]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_is_one_of_training(loss):
    network, truth = network_of(loss), TRUTH[loss]
    step = neocog.explain(network, IMAGE, targets=truth, lr=0.01).steps["sgd"]
    trained = network.copy()
    how = {"epochs": 1, "batch_size": 1, "optimizer": neocog.SGD(0.01, 0.9), "loss": loss}
    neocog.fit(trained, (IMAGE[None], truth[None]), **how)
    for name, after in step.after.items():
        np.testing.assert_allclose(after, trained.state_dict()[name], rtol=1e-6, atol=1e-7)
    assert step.loss < step.loss_before
    np.testing.assert_allclose(step.probabilities, trained.predict_proba(IMAGE[None])[0], rtol=1e-5)
    assert step.of_numbers == (loss == "mse")


@pytest.mark.parametrize("loss", LOSSES)
def test_attributions_are_of_the_explained_output(loss):
    network = network_of(loss)
    found = neocog.explain(network, IMAGE, "old", targets=TRUTH[loss])
    _, _, _, dx, _ = by_torch(network, lambda _torch, z: z[0, 1])
    p = network.preprocessing
    x = reference.preprocess(IMAGE[None], p.mean, p.std)[0]
    np.testing.assert_allclose(found.gradient_times_input().map, (x * dx).sum(0), **CLOSE)
    whole = found.occlusion(9, 1)
    gray = np.broadcast_to(np.rint(np.array(p.mean) * 255).astype(np.uint8), IMAGE.shape)
    both = network.predict_proba(np.stack([IMAGE, gray]))[:, 1]
    np.testing.assert_allclose(whole.map, np.full((9, 8), both[0] - both[1]), **CLOSE)
    assert whole.deleted[[0, -1]] == pytest.approx(both)
    assert whole.class_name == "old" and whole.of_number == (loss == "mse")


@pytest.mark.parametrize(
    ("loss", "targets", "says"),
    [
        ("cross-entropy", [1, 0, 0], "This one chooses one class: give it as label=."),
        ("mse", [1, 0], "The targets are [1, 2], but the network has 3 outputs."),
        ("mse", [1, 0, np.nan], "must be finite"),
        ("mse", "many", "targets (='many') must be 3 numbers, one for each output"),
        ("mse", 3.0, "targets (=3.0) must be 3 numbers, one for each output"),
        ("binary-cross-entropy", [1, 0, 2], "must be from 0 to 1, and go from 0 to 2"),
    ],
)
def test_targets_that_do_not_fit(loss, targets, says):
    with pytest.raises(DataError, match=re.escape(says)):
        neocog.explain(network_of(loss), IMAGE, targets=targets)


@pytest.mark.parametrize(
    ("loss", "says"), [("mse", "no number 'odd'"), ("binary-cross-entropy", "no label 'odd'")]
)
def test_an_output_that_there_is_not(loss, says):
    with pytest.raises(DataError, match=f"{says}. Did you mean 'old'. Known: {', '.join(NAMES)}"):
        neocog.explain(network_of(loss), IMAGE, "odd")

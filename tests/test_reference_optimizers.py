"""Twenty steps of every optimizer by its formula against PyTorch's; clipping and averages."""

import numpy as np
import pytest

from neocog import reference

STEPS = 20
SHAPE = (3, 5)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(actual, expected):
    expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


def compare(torch, optimizer, options, step, state):
    """The same gradients through PyTorch's optimizer and through the formula."""
    rng = np.random.default_rng(1)
    p = rng.normal(size=SHAPE)
    parameter = torch.nn.Parameter(torch.tensor(p))
    stepper = getattr(torch.optim, optimizer)([parameter], **options)
    arrays = [np.zeros(SHAPE) for _ in range(state)]
    for number in range(1, STEPS + 1):
        gradient = rng.normal(size=SHAPE)
        parameter.grad = torch.tensor(gradient)
        stepper.step()
        p, *arrays = step(p, gradient, arrays, number)
        assert_close(p, parameter)


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.8, "weight_decay": 0.03},
        {"momentum": 0.85, "weight_decay": 0.1, "nesterov": True},
        {"weight_decay": 0.2},
    ],
)
def test_sgd_is_that_of_torch(torch, options):
    def step(p, g, state, _number):
        return reference.sgd_step(p, g, *state, 0.05, **options)

    compare(torch, "SGD", {"lr": 0.05, **options}, step, 1)


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW"])
@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3}, {"lr": 0.01, "weight_decay": 0.2}],
)
def test_adam_and_adamw_are_those_of_torch(torch, optimizer, options):
    formula = {"Adam": reference.adam_step, "AdamW": reference.adamw_step}[optimizer]
    own = {k: v for k, v in options.items() if k != "betas"}
    if "betas" in options:
        own["beta1"], own["beta2"] = options["betas"]

    def step(p, g, state, number):
        return formula(p, g, *state, number, **own)

    compare(torch, optimizer, options, step, 2)


@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.02, "alpha": 0.9, "eps": 1e-2}, {"momentum": 0.9}, {"weight_decay": 0.1}],
)
def test_rmsprop_is_that_of_torch(torch, options):
    def step(p, g, state, _number):
        return reference.rmsprop_step(p, g, *state, **options)

    compare(torch, "RMSprop", options, step, 2)


@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.1, "lr_decay": 0.2, "eps": 1e-3}, {"weight_decay": 0.1}]
)
def test_adagrad_is_that_of_torch(torch, options):
    def step(p, g, state, number):
        return reference.adagrad_step(p, g, *state, number, **options)

    compare(torch, "Adagrad", options, step, 1)


def test_sgd_and_adam_by_hand():
    p, v = reference.sgd_step(np.array([1.0]), np.array([2.0]), np.array([4.0]), 0.5, 0.25)
    assert (p, v) == (np.array([-0.5]), np.array([3.0]))
    p, v = reference.sgd_step(
        np.array([1.0]),
        np.array([2.0]),
        np.array([4.0]),
        0.5,
        0.25,
        weight_decay=2.0,
        nesterov=True,
    )
    assert (p, v) == (np.array([-1.625]), np.array([5.0]))
    p, m, v = reference.adam_step(
        np.array([1.0]), np.array([-4.0]), np.zeros(1), np.zeros(1), 1, lr=0.125
    )
    # The first step goes lr against the sign of the gradient, whatever its size.
    assert_close(p, np.array([1.125]) - 0.125 * 1e-8 / 4)
    assert_close(m, np.array([-0.4]))
    assert_close(v, np.array([0.016]))


# Muon


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (9, 2), (1, 5), (5, 1)])
@pytest.mark.parametrize("iterations", [0, 3, 5])
def test_newton_schulz_changes_singular_values_alone(shape, iterations):
    """By the decomposition: each singular value goes through the quintic, the vectors stay."""
    g = np.random.default_rng(4).normal(size=shape)
    u, s, vt = np.linalg.svd(g, full_matrices=False)
    s /= np.linalg.norm(g) + 1e-7
    for _ in range(iterations):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    assert_close(reference.newton_schulz(g, iterations), u * s @ vt)


def test_newton_schulz_is_nearly_orthogonal():
    q, _r = np.linalg.qr(np.random.default_rng(5).normal(size=(16, 16)))
    g = q * np.linspace(0.1, 1, 16) @ np.linalg.qr(q[::-1] + q)[0]
    s = np.linalg.svd(reference.newton_schulz(g), compute_uv=False)
    assert 0.65 < s.min() <= s.max() < 1.25
    np.testing.assert_array_equal(reference.newton_schulz(np.zeros((2, 3))), np.zeros((2, 3)))


def jordans_muon(torch, parameter, buffer, lr, momentum, nesterov, iterations, renormalize):
    """The step of airbench94_muon.py, in float64 and with whitening written out."""
    g = parameter.grad
    buffer.mul_(momentum).add_(g)
    g = g.add(buffer, alpha=momentum) if nesterov else buffer
    if renormalize:
        parameter.data.mul_(len(parameter.data) ** 0.5 / parameter.data.norm())
    x = g.reshape(len(g), -1)
    x = x / (x.norm() + 1e-7)
    transposed = x.size(0) > x.size(1)
    x = x.T if transposed else x
    for _ in range(iterations):
        a = x @ x.T
        b = -4.7750 * a + 2.0315 * a @ a
        x = 3.4445 * x + b @ x
    x = x.T if transposed else x
    parameter.data.add_(x.reshape(g.shape), alpha=-lr)


@pytest.mark.parametrize("shape", [(4, 3, 2, 2), (24, 2, 3, 3), (5, 7)])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("renormalize", [False, True])
def test_muon_is_that_of_airbench(torch, shape, nesterov, renormalize):
    rng = np.random.default_rng(6)
    p, v = rng.normal(size=shape), np.zeros(shape)
    parameter = torch.nn.Parameter(torch.tensor(p))
    buffer = torch.zeros(shape, dtype=torch.float64)
    for _ in range(STEPS):
        gradient = rng.normal(size=shape)
        parameter.grad = torch.tensor(gradient)
        jordans_muon(torch, parameter, buffer, 0.24, 0.6, nesterov, 3, renormalize)
        p, v = reference.muon_step(
            p, gradient, v, 0.24, 0.6, nesterov=nesterov, iterations=3, renormalize=renormalize
        )
        np.testing.assert_allclose(p, parameter.detach(), rtol=1e-9, atol=1e-9)


def test_muon_decays_weights_by_hand():
    p, v = reference.muon_step(
        np.array([[2.0]]), np.array([[3.0]]), np.zeros((1, 1)), 0.5, 0.5, iterations=0,
        weight_decay=0.25,
    )  # fmt: skip
    # The direction of a single number is its sign; what is decayed is the weight before the step.
    np.testing.assert_allclose(p, [[2 - 0.5 * 0.25 * 2 - 0.5]], rtol=1e-6)
    np.testing.assert_array_equal(v, [[3.0]])


# Clipping and averages


@pytest.mark.parametrize("most", [0.5, 1e9])
def test_clipping_is_that_of_torch(torch, most):
    rng = np.random.default_rng(7)
    gradients = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=5)}
    parameters = [torch.nn.Parameter(torch.tensor(g)) for g in gradients.values()]
    for parameter, g in zip(parameters, gradients.values(), strict=True):
        parameter.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    assert_close(reference.global_norm(gradients), norm)
    for found, parameter in zip(
        reference.clip_by_norm(gradients, most).values(), parameters, strict=True
    ):
        assert_close(found, parameter.grad)


def test_the_moving_average_is_that_of_torch(torch):
    rng = np.random.default_rng(8)
    model = torch.nn.Linear(3, 2, bias=False).double()
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    found = None
    for _ in range(STEPS):
        value = rng.normal(size=(2, 3))
        model.weight.data = torch.tensor(value)
        average.update_parameters(model)
        found = value if found is None else reference.ema_step(found, value, 0.9)
        assert_close(found, average.module.weight)


def test_lookahead_by_hand():
    slow, fast = reference.lookahead_step(np.array([1.0]), np.array([3.0]), 0.25)
    np.testing.assert_array_equal([slow, fast], [[1.5], [1.5]])
    assert slow is not fast


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_precision_follows_the_inputs(dtype):
    p = np.array([[0.5, -1.5], [2.0, 3.0]], dtype)
    for result in [
        *reference.sgd_step(p, p, p, 0.1, 0.9, weight_decay=0.1, nesterov=True),
        *reference.adam_step(p, p, p, p * p, 3, weight_decay=0.1),
        *reference.adamw_step(p, p, p, p * p, 3),
        *reference.rmsprop_step(p, p, p * p, p, momentum=0.9),
        *reference.adagrad_step(p, p, p * p, 3, lr_decay=0.1),
        *reference.muon_step(p, p, p, 0.1, weight_decay=0.1, renormalize=True),
        *reference.lookahead_step(p, p, 0.3),
        reference.ema_step(p, p, 0.3),
        *reference.clip_by_norm({"p": p}, 0.1).values(),
    ]:
        assert result.dtype == dtype

"""Muon, phase by phase as its plan says, against float64; and whole steps beside `torch.optim`."""

import math

import numpy as np
import pytest
from cases import double, generator, in_parts, once, real, sizes
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_caller import (
    Buffer,
    assert_within,
    call,
    flat,
    parameter,
    read_parameter,
    rounding,
    step,
    weight_places,
)

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.layout import ConvolutionWeight, LinearWeight
from neocog.kernels.optimizer import muon, orthogonal
from neocog.kernels.optimizer.muon import (
    Orthogonal,
    muon_buffers,
    muon_momentum,
    muon_plan,
    muon_scale,
    muon_update,
    packed_matrix,
)
from neocog.kernels.optimizer.orthogonal import (
    COEFFICIENTS,
    Iteration,
    Matrix,
    gram_matrix,
    matrix_polynomial,
    matrix_product,
)

try:  # nothing here is skipped without it: the formulas are written out below
    import torch
except ImportError:
    torch = None

A, B, C = COEFFICIENTS


def values_of(m, buffer):
    """The matrix in a buffer; what fills its width must be zero."""
    rows = buffer.items[0, : m.rows * m.stride].reshape(m.rows, m.stride)
    fill = rows[:, m.columns : m.width]
    np.testing.assert_array_equal(fill, np.zeros_like(fill), "padding must be zero")
    return double(rows[:, : m.columns])


def matrix(m, values):
    """A buffer that holds the matrix."""
    buffer = Buffer(1, m.size)
    buffer.items[:] = 0
    rows = buffer.items[0, : m.rows * m.stride].reshape(m.rows, m.stride)
    rows[:, : m.columns] = values
    return buffer


def call_in_parts(kernel, spec, items, **operands):
    for first, count in in_parts(items):
        call(kernel, spec, count=count, first=first, **operands)


# The iteration


@sizes(20)
@given(rows=st.integers(1, 60), columns=st.integers(1, 40))
@example(rows=1, columns=1)
@example(rows=300, columns=37)  # more rows than are multiplied at a time
@example(rows=290, columns=270)  # more columns, too
def test_iteration(rows, columns):
    rows, columns = max(rows, columns), min(rows, columns)
    rng = generator(rows, columns)
    m = Matrix(rows, columns)
    x = rng.normal(size=(rows, columns))
    x = (x / np.linalg.norm(x)).astype(np.float32)
    of_x, square, out = matrix(m, x), Buffer(1, m.square.size), Buffer(1, m.square.size)
    y = matrix(m, np.nan)
    pairs = -(-m.panels // 2)
    call_in_parts(gram_matrix, Iteration(m), pairs, x=of_x, square=square)
    x = double(x)
    gram = values_of(m.square, square)[:columns]
    assert_within(gram, x.T @ x, rounding(rows, np.abs(x).T @ np.abs(x)))
    np.testing.assert_array_equal(gram, gram.T)
    call_in_parts(matrix_polynomial, Iteration(m.square), pairs, square=square, by=out)
    panels = out.items[0, : m.width * m.width].reshape(m.panels, m.width, -1)
    by = panels.transpose(1, 0, 2).reshape(m.width, m.width)
    by = double(by[:columns, :columns])
    exact = A * np.eye(columns) + B * gram + C * gram @ gram
    size = A * np.eye(columns) + abs(B * gram) + C * np.abs(gram) @ np.abs(gram)
    # The coefficients are rounded, b A, the sum with c A² and that with a.
    assert_within(by, exact, rounding(m.width + 4, size))
    np.testing.assert_array_equal(by, by.T)
    call_in_parts(matrix_product, Iteration(m), m.spans, x=of_x, by=out, y=y)
    assert_within(values_of(m, y), x @ by, rounding(m.width, np.abs(x) @ np.abs(by)))


# Whole steps


def orthogonalized(x, iterations=5):
    """The iteration in float64, rows and columns as they are."""
    for _ in range(iterations):
        gram = x @ x.T
        x = A * x + B * gram @ x + C * gram @ gram @ x
    return x


def orthogonalized_off(x, off, iterations=5):
    """How far float32's result may be off, in the Frobenius norm, if X is off by so much.

    A change of X grows by at most the largest |p′| on the singular values, p(σ) = a σ + b σ³ + c σ⁵
    (the divided differences of an odd p lie between values of p′); roundings of each iteration are
    added. All to first order, and half as much again for what is of higher order.
    """
    n = max(x.shape) + 40
    for _ in range(iterations):
        gram = x @ x.T
        b = A * np.eye(len(gram)) + B * gram + C * gram @ gram
        size = A * np.eye(len(gram)) + abs(B * gram) + C * np.abs(gram) @ np.abs(gram)
        gram_off = rounding(n, np.abs(x) @ np.abs(x).T)
        b_off = abs(B) * gram_off + 2 * C * gram_off @ np.abs(gram) + rounding(n, size)
        local = b_off @ np.abs(x) + rounding(n, np.abs(b) @ np.abs(x))
        most = np.linalg.norm(x, 2)
        sigma = np.linspace(0, most, 1000)
        growth = np.abs(A + 3 * B * sigma**2 + 5 * C * sigma**4).max()
        off = growth * off + np.linalg.norm(local)
        x = b @ x
    return 1.5 * off


class Weight:
    """One weight with all that its plan's kernels take."""

    def __init__(self, s, size, at, w, settings_, *, momenta=(np.nan,), clip=None):
        self.s, self.at, self.shape = s, at, w.shape
        rates = Buffer(len(momenta), 4, np.float64)
        rates.items[:, 0], rates.items[:, 1], rates.items[:, 2:] = 1.0, momenta, np.nan
        self.roles = {
            "w": parameter(size, at, w),
            "g": parameter(size, at, 0),
            "velocity": parameter(size, at, 0),
            "settings": flat([*settings_, *[np.nan] * (8 - len(settings_))], np.float64),
            "rates": rates,
            "clip": None if clip is None else flat([clip], np.float64),
        }
        for name, count in muon_buffers(s).items():
            kind = np.float64 if "squares" in name else np.float32
            self.roles[name] = Buffer(1, count // kind().itemsize, kind)
            if name in ("x", "y"):
                self.roles[name].items[:] = 0

    def step(self, g, done=0):
        """One step; gives each phase's kernel with what X and Y were behind it."""
        self.roles["g"].items[0, self.at] = g
        self.roles["step"] = step(1, taken=done, done=done)
        for phase in muon_plan(self.s):
            of = {name: self.roles[role] for name, role in phase.operands.items()}
            call_in_parts(phase.kernel, phase.spec, phase.items, **of)
            yield phase

    def x(self, name="x"):
        """X as a matrix [K, rest], the rest in the order of the packed weight."""
        x = values_of(self.s.x, self.roles[name])
        return x if self.s.transposed else x.T

    def shaped(self, x):
        """Such a matrix in the weight's own shape."""
        k, c, *kernel = self.shape
        return x.reshape(k, *kernel, c).transpose(0, 3, 1, 2)

    def read(self, name):
        return double(read_parameter(self.roles[name], self.at)).reshape(self.shape)


@given(rows=st.integers(1, 999), columns=st.integers(1, 999), flags=st.booleans())
def test_no_size_makes_another_kind(rows, columns, flags):
    listed = {
        (kernel, kind_of(spec)) for part in (muon, orthogonal) for kernel, spec in part.kinds()
    }
    spec = Orthogonal(rows, columns, 2 * LANES, flags, flags, flags, flags)
    assert {(phase.kernel, kind_of(phase.spec)) for phase in muon_plan(spec)} == listed


def test_every_weight_as_a_matrix():
    assert packed_matrix(ConvolutionWeight(24, 3, 2, 5)).rows == 30
    assert packed_matrix(ConvolutionWeight(24, 3, 2, 5)).columns == 24
    assert not packed_matrix(ConvolutionWeight(24, 3, 2, 5)).transposed
    assert packed_matrix(ConvolutionWeight(31, 3, 2, 5)).transposed
    linear = packed_matrix(LinearWeight(32, 10))
    assert (linear.rows, linear.columns, linear.transposed) == (10, 32, True)
    assert linear.x == Matrix(32, 10)


@sizes(15)
@given(
    k=st.integers(1, 70),
    c=st.integers(1, 20),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    nesterov=st.booleans(),
    decay=st.booleans(),
    renormalized=st.booleans(),
    clipped=st.booleans(),
)
@example(24, 3, (2, 2), True, True, False, True)  # transposed
@example(33, 5, (3, 3), False, False, True, False)  # a vector that is not full
@example(70, 9, (3, 3), True, True, True, True)  # several panels and spans
@example(1, 1, (1, 1), True, False, False, False)
def test_phases(k, c, kernel, nesterov, decay, renormalized, clipped):
    rng = generator(k, c, kernel)
    weight = ConvolutionWeight(k, c, *kernel)
    s = packed_matrix(
        weight, nesterov=nesterov, decay=decay, renormalized=renormalized, clipped=clipped
    )
    lr, wd, momentum, scale, eps = 0.1, 0.3, 0.7, 1.5, 1e-7
    settings_ = lr, wd, 0.9, scale, eps, math.sqrt(k)
    w, v, g = (real(rng, k, c, *kernel) for _ in range(3))
    clip = 0.3 if clipped else None
    at = weight_places(weight)
    state = Weight(s, weight.size, at, w, settings_, momenta=(momentum,), clip=clip)
    state.roles["velocity"].items[0, at] = v
    factor = clip if clipped else 1.0
    for phase in state.step(g):
        if phase.kernel is muon_momentum:
            slope = factor * double(g)
            size = np.abs(double(v)) + np.abs(slope - double(v)) + np.abs(slope)
            new = momentum * double(v) + (1 - momentum) * slope
            assert_within(state.read("velocity"), new, rounding(5, size))
            u = slope + momentum * (new - slope) if nesterov else new
            u_off = rounding(8, size + np.abs(new - slope))
            assert_within(state.shaped(state.x()), u, u_off)
            kept = state.x()
            total = state.roles["squares"].items.sum()
            assert total == pytest.approx((kept**2).sum(), rel=1e-12)
        elif phase.kernel is muon_scale:
            x = kept / max(np.linalg.norm(kept), eps)
            assert_within(state.x(), x, rounding(2, np.abs(x)))
            x = state.x()
            off = orthogonalized_off(x if k <= x.shape[1] else x.T, 0.0)
        elif phase.kernel is muon_update:
            made = state.x(phase.operands["x"])
            wanted = orthogonalized(x)
            assert np.linalg.norm(made - wanted) <= off
            left = (1 - lr * wd) if decay else 1.0
            if renormalized:
                left *= math.sqrt(k) / np.linalg.norm(double(w))
            moved = left * double(w) - lr * scale * state.shaped(made)
            size = np.abs(left * double(w)) + np.abs(lr * scale * state.shaped(made))
            assert_within(state.read("w"), moved, rounding(4, size))


def test_a_linear_weight():
    """[inputs / LANES][outputs][LANES] is a matrix, too."""
    rng = generator("linear")
    weight = LinearWeight(32, 10)
    s = packed_matrix(weight)
    assert isinstance(s, Orthogonal)
    w, g = real(rng, 10, 32), real(rng, 10, 32)
    lanes = s.block
    i, o = np.arange(32)[None], np.arange(10)[:, None]
    at = (i // lanes * 10 + o) * lanes + i % lanes
    state = Weight(s, weight.size, at, w, (0.1, 0, 0.0, 1.0, 1e-7))
    list(state.step(g))
    x = double(g) / np.linalg.norm(double(g))
    moved = double(w) - 0.1 * orthogonalized(x)
    off = 0.1 * orthogonalized_off(x, np.linalg.norm(rounding(5, np.abs(x))))
    size = np.abs(double(w)) + 0.2
    error = np.linalg.norm(state.read("w") - moved)
    assert error <= off + np.linalg.norm(rounding(4, size))
    assert off < 0.01


@once
def test_weights_that_do_not_move():
    """Without a gradient there is no norm; a weight of zeros has none that could be mended."""
    weight = ConvolutionWeight(5, 3, 2, 2)
    s = packed_matrix(weight, renormalized=True)
    zeros = np.zeros((5, 3, 2, 2), np.float32)
    state = Weight(s, weight.size, weight_places(weight), zeros, (1, 0, 0.9, 1, 1e-7, 5**0.5))
    list(state.step(zeros))
    np.testing.assert_array_equal(state.read("w"), zeros)


@once
def test_a_gradient_that_is_not_finite_reaches_every_weight_and_no_padding():
    weight = ConvolutionWeight(5, 3, 2, 2)
    s = packed_matrix(weight)
    w = np.ones((5, 3, 2, 2), np.float32)
    for value in (np.nan, np.inf):
        g = w.copy()
        g[1, 1, 1, 1] = value
        state = Weight(s, weight.size, weight_places(weight), w, (1, 0, 0.9, 1, 1e-7))
        phases = muon_plan(s)
        state.roles["g"].items[0, state.at] = g
        state.roles["step"] = step(1)
        for phase in phases:
            of = {name: state.roles[role] for name, role in phase.operands.items()}
            call_in_parts(phase.kernel, phase.spec, phase.items, **of)
        assert np.isnan(state.read("w")).all()


@once
@pytest.mark.parametrize("shape", [(12, 20), (20, 12)])
def test_steps_beside_pytorch(shape, monkeypatch):
    """Three steps of `torch.optim.Muon`, which would compute in bfloat16, in float64."""
    if torch is None or not hasattr(torch.optim, "Muon"):
        return  # the formulas are tested above
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor)
    rng = generator("torch", shape)
    lr, wd, momentum = 0.02, 0.1, 0.9
    k, c = shape
    scale = math.sqrt(max(1, k / c))
    weight = ConvolutionWeight(k, c, 1, 1)
    s = packed_matrix(weight, decay=True)
    w = real(rng, *shape)
    state = Weight(
        s,
        weight.size,
        weight_places(weight),
        w[:, :, None, None],
        (lr, wd, momentum, scale, 1e-7),
        momenta=[np.nan] * 3,
    )
    exact = torch.nn.Parameter(torch.tensor(double(w)))
    optimizer = torch.optim.Muon([exact], lr=lr, momentum=momentum, weight_decay=wd)
    off, v = 0.0, np.zeros(shape)
    for done in range(3):
        g = real(rng, *shape)
        list(state.step(g[:, :, None, None], done))
        exact.grad = torch.tensor(double(g))
        optimizer.step()
        v = momentum * v + (1 - momentum) * g
        u = g + momentum * (v - g)
        x = u / np.linalg.norm(u)
        x_off = np.linalg.norm(rounding(20, np.abs(v) + np.abs(g))) / np.linalg.norm(u)
        off += lr * scale * orthogonalized_off(x if k <= c else x.T, 2 * x_off)
        off += np.linalg.norm(rounding(4, np.abs(state.read("w")) + lr * scale))
        error = state.read("w")[:, :, 0, 0] - exact.detach().numpy()
        assert np.linalg.norm(error) <= off
    assert off < 0.05 * lr * math.sqrt(min(shape)) * scale * 3

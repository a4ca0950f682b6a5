"""The formulas against PyTorch in float64, and against numbers worked out by hand."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference
from neocog.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU
from neocog.network import Network

NAN = float("nan")
quick = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(actual, expected):
    if hasattr(expected, "detach"):
        expected = expected.detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


@st.composite
def conv_cases(draw):
    """x, w, b, dy and the padding of a convolution that fits."""
    n, c, k, kh, kw = (draw(st.integers(1, most)) for most in (3, 3, 4, 5, 5))
    ph, pw = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    h = draw(st.integers(max(1, kh - 2 * ph), 7))
    width = draw(st.integers(max(1, kw - 2 * pw), 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.normal(size=(n, c, h, width))
    w = rng.normal(size=(k, c, kh, kw))
    b = rng.normal(size=k)
    dy = rng.normal(size=(n, k, h + 2 * ph - kh + 1, width + 2 * pw - kw + 1))
    return x, w, b, dy, (ph, pw)


# By hand


def test_convolution_by_hand():
    image = np.array([[1.0, 2.0], [3.0, 4.0]])
    kernel = np.array([[1.0, 10.0], [100.0, 1000.0]])
    # The whole of S: S(0, 0) = I(0, 0) K(0, 0); S(1, 1) = 4·1 + 3·10 + 2·100 + 1·1000.
    full = [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]
    np.testing.assert_array_equal(reference.convolution(image, kernel, padding=1), full)
    np.testing.assert_array_equal(reference.convolution(image, kernel), [[1234]])
    # Beyond the whole of S there is nothing but zeros.
    np.testing.assert_array_equal(
        reference.convolution(image, kernel, padding=2), np.pad(np.array(full), 1)
    )


def test_cross_correlation_by_hand():
    image = np.array([[1.0, 2.0], [3.0, 4.0]])
    kernel = np.array([[1.0, 10.0], [100.0, 1000.0]])
    np.testing.assert_array_equal(reference.cross_correlation(image, kernel), [[4321]])
    np.testing.assert_array_equal(
        reference.cross_correlation(image, kernel, padding=1),
        [[1000, 2100, 200], [3010, 4321, 402], [30, 43, 4]],
    )


@quick
@given(st.data())
def test_convolution_is_the_double_sum_of_its_definition(data):
    h, w, kh, kw = (data.draw(st.integers(1, 4)) for _ in range(4))
    padding = data.draw(st.integers(max(0, -((h - kh) // 2), -((w - kw) // 2)), 4))
    numbers = st.integers(-9, 9)
    image = data.draw(hnp.arrays(np.float64, (h, w), elements=numbers))
    kernel = data.draw(hnp.arrays(np.float64, (kh, kw), elements=numbers))

    def s(i, j):
        return sum(
            image[m, n] * kernel[i - m, j - n]
            for m in range(h)
            for n in range(w)
            if 0 <= i - m < kh and 0 <= j - n < kw
        )

    expected = [
        [s(i, j) for j in range(kw - 1 - padding, w + padding)]
        for i in range(kh - 1 - padding, h + padding)
    ]
    np.testing.assert_array_equal(reference.convolution(image, kernel, padding), expected)


@quick
@given(st.data())
def test_convolution_is_correlation_with_the_kernel_turned(data):
    size = st.integers(1, 5)
    image = data.draw(hnp.arrays(np.float64, (6, 5), elements=st.integers(-9, 9)))
    kernel = data.draw(hnp.arrays(np.float64, st.tuples(size, size), elements=st.integers(-9, 9)))
    padding = data.draw(st.integers(0, 3))
    np.testing.assert_array_equal(
        reference.convolution(image, kernel, padding),
        reference.cross_correlation(image, kernel[::-1, ::-1], padding),
    )


@pytest.mark.parametrize("formula", [reference.convolution, reference.cross_correlation])
def test_a_kernel_that_does_not_fit_is_named(formula):
    with pytest.raises(ValueError, match=r"kernel of \(3, 1\) with padding 0 .* image of \(2, 2\)"):
        formula(np.ones((2, 2)), np.ones((3, 1)))


def test_conv2d_by_hand():
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 0.0]]]])
    w = np.array([[[[1.0, 10.0]], [[5.0, 7.0]]]])
    y = reference.conv2d_forward(x, w, np.array([0.5]))
    np.testing.assert_array_equal(y, [[[[28.5], [43.5]]]])
    dy = np.array([[[[2.0], [1.0]]]])
    np.testing.assert_array_equal(
        reference.conv2d_backward_input(dy, w, x.shape),
        [[[[2.0, 20.0], [1.0, 10.0]], [[10.0, 14.0], [5.0, 7.0]]]],
    )
    np.testing.assert_array_equal(
        reference.conv2d_backward_weight(x, dy, (1, 2)), [[[[5.0, 8.0]], [[0.0, 2.0]]]]
    )
    np.testing.assert_array_equal(reference.conv2d_backward_bias(dy), [3.0])


def test_relu_by_hand():
    x = np.array([-2.0, -0.0, 0.0, 3.0, NAN])
    np.testing.assert_array_equal(reference.relu_forward(x), [0.0, 0.0, 0.0, 3.0, NAN])
    np.testing.assert_array_equal(
        reference.relu_backward(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), x), [0, 0, 0, 4, 5]
    )


def test_max_pool2d_by_hand():
    x = np.array([[[[1.0, 2.0, 5.0, 5.0, 9.0], [3.0, 0.0, 5.0, 4.0, 9.0], [8.0] * 5]]])
    y, winner = reference.max_pool2d_forward(x)
    np.testing.assert_array_equal(y, [[[[3.0, 5.0]]]])
    np.testing.assert_array_equal(winner, [[[[2, 0]]]])
    dx = reference.max_pool2d_backward(np.array([[[[6.0, 7.0]]]]), winner, x.shape)
    np.testing.assert_array_equal(dx, [[[[0, 0, 7, 0, 0], [6, 0, 0, 0, 0], [0] * 5]]])


def test_flatten_by_hand():
    x = np.arange(12).reshape(1, 3, 2, 2)
    np.testing.assert_array_equal(reference.flatten_forward(x), [range(12)])
    np.testing.assert_array_equal(
        reference.flatten_backward(reference.flatten_forward(x), x.shape), x
    )


def test_linear_by_hand():
    x, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 10.0]])
    np.testing.assert_array_equal(
        reference.linear_forward(x, w, np.array([0.0, 0.0, 0.5])), [[1, 2, 21.5], [3, 4, 43.5]]
    )
    dy = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(reference.linear_backward_input(dy, w), [[3, 20], [0, 1]])
    np.testing.assert_array_equal(reference.linear_backward_weight(x, dy), [[1, 2], [3, 4], [2, 4]])
    np.testing.assert_array_equal(reference.linear_backward_bias(dy), [1, 1, 2])


def test_softmax_and_cross_entropy_by_hand():
    z, labels = np.log(np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]])), np.array([1, 2])
    assert_close(reference.softmax(z), np.array([[1, 2, 5], [8 / 3] * 3]) / 8)
    assert_close(reference.cross_entropy(z, labels), np.log([4, 3]))
    assert_close(
        reference.cross_entropy_backward(z, labels),
        np.array([[0.125, -0.75, 0.625], [1 / 3, 1 / 3, -2 / 3]]),
    )


def test_softmax_and_cross_entropy_of_huge_numbers_stay_finite():
    z = np.array([[1000.0, 0.0], [-1000.0, -2000.0]])
    assert_close(reference.softmax(z), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert_close(reference.cross_entropy(z, np.array([1, 0])), np.array([1000.0, 0.0]))


def test_preprocess_by_hand():
    images = np.array([[[[0, 255]], [[51, 102]]]], np.uint8)
    x = reference.preprocess(images, (0.5, 0.0), (0.5, 2.0))
    assert_close(x, np.array([[[[-1.0], [-0.6]], [[0.5], [0.2]]]]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_precision_follows_the_inputs(dtype):
    rng = np.random.default_rng(0)
    net = Network(
        input_shape=(3, 4, 4), a=Conv2d(3, 2, 3, padding=1), b=ReLU(), c=MaxPool2d(), d=Flatten(),
        e=Linear(8, 5),
    )  # fmt: skip
    parameters = {k: rng.normal(size=s).astype(dtype) for k, s in net.parameter_shapes.items()}
    images = rng.integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    x = reference.preprocess(images, (0.5,) * 3, (0.5,) * 3, dtype)
    labels = np.array([1, 2])
    for output in reference.forward(net, parameters, x).values():
        assert output.dtype == dtype
    _, gradients, output_gradients = reference.backward(net, parameters, x, labels)
    for gradient in [*gradients.values(), *output_gradients.values()]:
        assert gradient.dtype == dtype
    p = parameters["e.bias"]
    for result in [*reference.sgd_step(p, p, p, 0.1, 0.9), *reference.adam_step(p, p, p, p * p, 3)]:
        assert result.dtype == dtype
    assert reference.convolution(x[0, 0], x[0, 1], 1).dtype == dtype
    assert reference.cross_correlation(x[0, 0], x[0, 1], 1).dtype == dtype
    assert reference.cross_entropy(p[None], np.array([0])).dtype == dtype


# Against PyTorch


@quick
@given(conv_cases())
def test_conv2d_is_that_of_torch(torch, case):
    x, w, b, dy, padding = case
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    ty = torch.nn.functional.conv2d(tx, tw, tb, padding=padding)
    ty.backward(torch.tensor(dy))
    assert_close(reference.conv2d_forward(x, w, b, padding), ty)
    assert_close(reference.conv2d_forward(x, w, None, padding) + b[:, None, None], ty)
    assert_close(reference.conv2d_backward_input(dy, w, x.shape, padding), tx.grad)
    assert_close(reference.conv2d_backward_weight(x, dy, w.shape[2:], padding), tw.grad)
    assert_close(reference.conv2d_backward_bias(dy), tb.grad)


@quick
@given(
    hnp.arrays(
        np.float64,
        st.tuples(*(st.integers(low, high) for low, high in ((1, 2), (1, 2), (2, 7), (2, 7)))),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf, NAN]),
    )
)
def test_max_pool2d_is_that_of_torch_with_ties_and_nan(torch, x):
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.max_pool2d(tx, 2)
    dy = np.arange(1.0, ty.numel() + 1).reshape(ty.shape)
    ty.backward(torch.tensor(dy))
    y, winner = reference.max_pool2d_forward(x)
    assert_close(y, ty)
    assert_close(reference.max_pool2d_backward(dy, winner, x.shape), tx.grad)


@quick
@given(
    hnp.arrays(np.float64, (3, 4), elements=st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 2.0, NAN]))
)
def test_relu_is_that_of_torch(torch, x):
    tx = torch.tensor(x, requires_grad=True)
    dy = np.arange(1.0, 13.0).reshape(3, 4)
    ty = torch.relu(tx)
    ty.backward(torch.tensor(dy))
    assert_close(reference.relu_forward(x), ty)
    assert_close(reference.relu_backward(dy, x), tx.grad)


@quick
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**16))
def test_linear_is_that_of_torch(torch, n, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, inputs)), rng.normal(size=(outputs, inputs))
    b, dy = rng.normal(size=outputs), rng.normal(size=(n, outputs))
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    ty = torch.nn.functional.linear(tx, tw, tb)
    ty.backward(torch.tensor(dy))
    assert_close(reference.linear_forward(x, w, b), ty)
    assert_close(reference.linear_forward(x, w) + b, ty)
    assert_close(reference.linear_backward_input(dy, w), tx.grad)
    assert_close(reference.linear_backward_weight(x, dy), tw.grad)
    assert_close(reference.linear_backward_bias(dy), tb.grad)


@quick
@given(st.integers(1, 5), st.integers(1, 12), st.floats(0.1, 200), st.integers(0, 2**16))
def test_cross_entropy_is_that_of_torch(torch, n, classes, spread, seed):
    rng = np.random.default_rng(seed)
    z, labels = rng.normal(0, spread, (n, classes)), rng.integers(0, classes, n)
    tz = torch.tensor(z, requires_grad=True)
    losses = torch.nn.functional.cross_entropy(tz, torch.tensor(labels), reduction="none")
    losses.sum().backward()
    assert_close(reference.softmax(z), torch.softmax(tz, dim=1))
    assert_close(reference.cross_entropy(z, labels), losses)
    assert_close(reference.cross_entropy_backward(z, labels), tz.grad)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_that_of_torch(torch, momentum):
    rng = np.random.default_rng(1)
    p = rng.normal(size=(3, 5))
    velocity = np.zeros_like(p)
    parameter = torch.nn.Parameter(torch.tensor(p))
    optimizer = torch.optim.SGD([parameter], lr=0.05, momentum=momentum)
    for _ in range(20):
        gradient = rng.normal(size=p.shape)
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        p, velocity = reference.sgd_step(p, gradient, velocity, 0.05, momentum)
        assert_close(p, parameter)


@pytest.mark.parametrize("settings", [{}, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3}])
def test_adam_is_that_of_torch(torch, settings):
    rng = np.random.default_rng(2)
    p = rng.normal(size=(3, 5))
    m, v = np.zeros_like(p), np.zeros_like(p)
    parameter = torch.nn.Parameter(torch.tensor(p))
    optimizer = torch.optim.Adam([parameter], **settings)
    beta1, beta2 = settings.get("betas", (0.9, 0.999))
    for step in range(1, 21):
        gradient = rng.normal(size=p.shape)
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        p, m, v = reference.adam_step(
            p, gradient, m, v, step, settings.get("lr", 0.001), beta1, beta2,
            settings.get("eps", 1e-8),
        )  # fmt: skip
        assert_close(p, parameter)


NETWORKS: dict[str, tuple[tuple[int, int, int], dict[str, Layer]]] = {
    "the note's, small": (
        (3, 6, 6),
        {
            "conv1": Conv2d(3, 4, 3, padding=1), "relu": ReLU(), "pool": MaxPool2d(),
            "flatten": Flatten(), "fc": Linear(36, 5),
        },
    ),
    "deep and odd": (
        (2, 11, 9),
        {
            "c1": Conv2d(2, 3, (1, 3), padding=(0, 2), bias=False), "r1": ReLU(),
            "c2": Conv2d(3, 4, 5, padding=2), "p1": MaxPool2d(), "r2": ReLU(),
            "c3": Conv2d(4, 3, 3, padding=1), "p2": MaxPool2d(), "f": Flatten(),
            "l1": Linear(12, 7, bias=False), "r3": ReLU(), "l2": Linear(7, 4),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_are_those_of_torch(torch, name):
    input_shape, layers = NETWORKS[name]
    net = Network(input_shape=input_shape, **layers)
    rng = np.random.default_rng(3)
    parameters = {k: rng.normal(size=shape) for k, shape in net.parameter_shapes.items()}
    x, labels = rng.normal(size=(4, *input_shape)), rng.integers(0, net.output_shape[0], 4)

    leaves = {k: torch.tensor(p, requires_grad=True) for k, p in parameters.items()}
    outputs = {"input": torch.tensor(x, requires_grad=True)}
    value = outputs["input"]
    for key, layer in layers.items():
        w, b = leaves.get(f"{key}.weight"), leaves.get(f"{key}.bias")
        match layer:
            case Conv2d():
                value = torch.nn.functional.conv2d(value, w, b, padding=layer.padding)
            case Linear():
                value = torch.nn.functional.linear(value, w, b)
            case MaxPool2d():
                value = torch.nn.functional.max_pool2d(value, 2)
            case ReLU():
                value = torch.relu(value)
            case Flatten():
                value = value.flatten(1)
        value.retain_grad()
        outputs[key] = value
    mean_loss = torch.nn.functional.cross_entropy(value, torch.tensor(labels))
    mean_loss.backward()

    actual = reference.forward(net, parameters, x)
    loss, gradients, output_gradients = reference.backward(net, parameters, x, labels)
    assert list(actual) == list(outputs)
    assert gradients.keys() == leaves.keys()
    assert output_gradients.keys() == outputs.keys()
    assert loss == pytest.approx(mean_loss.item(), rel=1e-12)
    for key, output in outputs.items():
        assert_close(actual[key], output)
        assert_close(output_gradients[key], output.grad)
    for key, leaf in leaves.items():
        assert_close(gradients[key], leaf.grad)


def test_a_layer_without_a_formula_is_named():
    class Strange(Layer):
        def output_shape(self, shape):
            return shape

    net = Network(odd=Strange())
    with pytest.raises(TypeError, match="odd: there is no formula here for Strange"):
        reference.forward(net, {}, np.zeros((1, 3, 32, 32)))

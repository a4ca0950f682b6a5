"""What a network shows is what it uses: replaced values, copies, pickles, threads and processes."""

import copy
import multiprocessing
import pickle
import threading

import numpy as np
import pytest

from neocog import Preprocessing, explain, models
from neocog.errors import ArchitectureError
from neocog.layers import BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Sequential
from neocog.network import Network

RIGHT = Preprocessing((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)


def fresh(preprocessing=None, seed=0):
    network = models.simple_cnn()
    if preprocessing is not None:
        network.preprocessing = preprocessing
    network.initialize(seed)
    return network


def predictions(network):
    """Of one image, of a few, and of many, which programs of their own compute."""
    return [network.predict_proba(IMAGES[:n]) for n in (1, 3, 40)]


def assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_preprocessing_set_after_a_prediction_is_used():
    network = fresh()
    before = predictions(network)
    twin = network.copy()
    network.preprocessing = RIGHT
    wanted = predictions(fresh(RIGHT))
    assert np.abs(wanted[1] - before[1]).max() > 1e-3
    assert_same(predictions(network), wanted)
    assert network.preprocessing == RIGHT
    found = explain(network, IMAGES[0], 3)
    np.testing.assert_allclose(found.probabilities, wanted[0][0], atol=1e-6)
    # The copy kept what it had, until it is given the same.
    assert_same(predictions(twin), before)
    twin.preprocessing = RIGHT
    assert_same(predictions(twin), wanted)
    twin.initialize(1)
    assert_same(predictions(network), wanted)
    assert twin.preprocessing == RIGHT


def test_what_cannot_be_set():
    network = fresh()
    for name in (
        *("input_shape", "layers", "leaves", "shapes", "output_shape"),
        *("parameter_shapes", "buffer_shapes", "state_shapes", "initialized"),
    ):
        with pytest.raises(AttributeError, match=name):
            setattr(network, name, getattr(network, name))
    for name in ("layers", "leaves", "shapes", "parameter_shapes", "buffer_shapes", "state_shapes"):
        with pytest.raises(TypeError):
            getattr(network, name)["new"] = 1
    for wrong in (None, (0.5, 0.5), "model", Preprocessing((0.5,), (0.5,))):
        with pytest.raises(ArchitectureError, match="preprocessing"):
            network.preprocessing = wrong
    assert network.preprocessing == Preprocessing()


def test_names_of_classes_are_checked_however_they_are_given():
    network = fresh()
    for names in (list("0123456789"), np.array(list("0123456789")), range(10)):
        network.classes = names
        assert network.classes == tuple("0123456789")
        assert {type(name) for name in network.classes} == {str}
    with pytest.raises(ArchitectureError, match="there are 2 classes"):
        network.classes = ("a", "b")
    for wrong in ("0123456789", {"a": 1}, 10):
        with pytest.raises(ArchitectureError, match=r"classes \(=.*\) must be a list of names"):
            network.classes = wrong
    assert network.classes == tuple("0123456789")
    network.classes = None
    assert network.classes is None


def test_arrays_that_are_handed_in_and_out_are_copies():
    network = fresh()
    state = network.state_dict()
    wanted = predictions(network)
    state["fc.weight"][:] = 0
    assert_same(predictions(network), wanted)
    other = fresh(seed=1)
    other.load_state_dict(state := network.state_dict())
    state["fc.weight"][:] = 0
    assert_same(predictions(other), wanted)
    assert network.state_dict()["fc.weight"].flags.writeable
    twin = network.copy()
    twin.state_dict()["fc.weight"][:] = 0
    assert_same(predictions(twin), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: 3, r"state \(=3\) must be arrays by name"),
        (lambda state: state | {"fc.bias": None}, "fc.bias must have the shape"),
        (lambda state: state | {"fc.bias": ["a"] * 10}, "fc.bias must hold numbers"),
        (lambda state: state | {"fc.bias": np.zeros(10, complex)}, "fc.bias must hold numbers"),
        (lambda state: state | {"fc.bias": [[1], [1, 2]]}, "fc.bias is no array of numbers"),
        (lambda state: state | {"fc.bias": np.full(10, 1e300)}, "fc.bias holds numbers that are"),
        (lambda state: state | {3: 4}, "it has no 3"),
    ],
)
def test_states_that_cannot_be(change, message):
    network = fresh()
    before = network.state_dict()
    with pytest.raises(ArchitectureError, match=message):
        network.load_state_dict(change(network.state_dict()))
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_states_of_other_numbers_are_taken():
    network = fresh()
    state = {name: value.astype(np.float64) for name, value in network.state_dict().items()}
    state["fc.bias"] = [float("nan"), float("inf"), *range(8)]
    network.load_state_dict(state)
    assert network.state_dict()["fc.bias"].dtype == np.float32
    np.testing.assert_array_equal(network.state_dict()["fc.bias"], np.float32(state["fc.bias"]))


def test_too_large_for_this_machine():
    network = Network(input_shape=(1, 1, 2**20), f=Flatten(), l=Linear(2**20, 2**31 - 1))
    with pytest.raises(Exception, match=r"needs .* of memory") as caught:
        network.initialize()
    assert type(caught.value).__name__ == "NeocogError"


# Copies, threads and processes


COPIES = {
    "copy": lambda network: network.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "oldest pickle": lambda network: pickle.loads(pickle.dumps(network, 2)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_copies(how, used):
    network = fresh(RIGHT)
    network.classes = tuple("abcdefghij")
    if used:
        predictions(network)
    twin = COPIES[how](network)
    assert type(twin) is Network
    for name in ("classes", "preprocessing", "input_shape", "output_shape"):
        assert getattr(twin, name) == getattr(network, name)
    for name in ("layers", "shapes", "leaves", "parameter_shapes", "state_shapes"):
        assert dict(getattr(twin, name)) == dict(getattr(network, name))
        assert list(getattr(twin, name)) == list(getattr(network, name))
    wanted = predictions(network)
    assert_same(predictions(twin), wanted)
    twin.load_state_dict({name: 0 * value for name, value in twin.state_dict().items()})
    twin.classes = None
    assert (predictions(twin)[0] == np.float32(0.1)).all()
    assert_same(predictions(network), wanted)
    assert network.classes == tuple("abcdefghij")


def test_a_network_without_parameters_is_copied_too():
    for copied in COPIES.values():
        assert not copied(models.simple_cnn()).initialized


def test_a_pickle_holds_the_weights_once_and_nothing_of_predicting():
    network = fresh()
    predictions(network)
    weights = sum(value.nbytes for value in network.state_dict().values())
    assert weights < len(pickle.dumps(network)) < weights + 10_000


def predict(network):
    return network.predict_proba(IMAGES[:3])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_networks_go_to_other_processes(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    network = fresh()
    wanted = predict(network)
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.apply_async(predict, (network,)).get(120)
        twin = pool.apply_async(copy.copy, (network,)).get(120)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(predict(twin), wanted)


def test_networks_go_through_joblib(tmp_path):
    joblib = pytest.importorskip("joblib")
    network = fresh()
    wanted = predict(network)
    joblib.dump(network, tmp_path / "net.joblib")
    np.testing.assert_array_equal(predict(joblib.load(tmp_path / "net.joblib")), wanted)
    with joblib.parallel_backend("threading", n_jobs=2):
        for found in joblib.Parallel()(joblib.delayed(predict)(network) for _ in range(4)):
            np.testing.assert_array_equal(found, wanted)


def test_predictions_while_another_thread_sets_values():
    """Each is that of one of the values, and the last is that of the last values."""
    network = fresh()
    choices = [network.preprocessing, RIGHT]
    wanted = [predict(fresh(one)) for one in choices]
    stop = threading.Event()
    wrong = []

    def look():
        while not stop.is_set():
            found = predict(network)
            if not any(np.array_equal(found, one) for one in wanted):
                wrong.append(found)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        network.preprocessing = choices[turn % 2]
        if turn % 7 == 0:
            np.testing.assert_array_equal(predict(network), wanted[turn % 2])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(predict(network), wanted[1])


# Reprs


def test_reprs_are_short():
    text = repr(models.simple_cnn())
    assert text.splitlines()[1].startswith("  conv1=Conv2d(in_channels=3, out_channels=16, ")
    assert len(text.splitlines()) == 7
    block = Sequential(conv=Conv2d(1, 1, 1), norm=BatchNorm2d(1))
    assert eval(repr(block)) == block
    deep = Network(input_shape=(1, 4, 4), **{f"relu{k}": ReLU() for k in range(200)})
    assert len(repr(deep).splitlines()) < 70
    assert "and 140 layers more" in repr(deep)
    for name in models.SMALL_IMAGES:
        assert len(repr(models.make(name))) < 3000

"""Predictions by PyTorch beside those of neocog's kernels, and where they are asked for."""

import copy
import threading

import numpy as np
import pytest
from both_engines import assert_near, data_for, small
from engines import parts_of

import neocog
from neocog import NeocogError, engines, models
from neocog.engine.predictor import Predictor
from neocog.engines import choose_for_predictions

pytest.importorskip("torch")
from neocog.torch_engine import predictor as torch_predictor

#: Of the largest score: some thousand sums in float32, in another order.
NEAR = 1e-5


def on_torch(network):
    found = network.copy()
    found.use_engine("torch", "cpu")
    return found


@pytest.fixture
def no_kernels(monkeypatch):
    """Let nothing be predicted by neocog's own engine."""

    def predict(self, images, threads=None):
        raise AssertionError("neocog's own engine was asked")

    return lambda: monkeypatch.setattr(Predictor, "predict", predict)


@pytest.mark.parametrize("make", [models.simple_cnn, models.resnet8, lambda: small(dropout=0.5)])
def test_scores_and_probabilities(make, no_kernels):
    network = make()
    if not network.initialized:
        network.initialize(0)
    images, _ = data_for(network)
    scores, probabilities = network.predict_scores(images), network.predict_proba(images)
    network.temperature = 2.0
    cooler = network.predict_proba(images)
    no_kernels()
    theirs = on_torch(network)
    assert_near(scores, theirs.predict_scores(images, threads=1), NEAR)
    assert_near(cooler, theirs.predict_proba(images), NEAR)
    theirs.temperature = 1.0
    assert_near(probabilities, theirs.predict_proba(images), NEAR)
    assert theirs.predict_scores(images).dtype == np.float32


def test_batches_are_put_together_in_order(monkeypatch):
    network = small()
    images, _ = data_for(network)
    whole = on_torch(network).predict_scores(images)
    monkeypatch.setattr(torch_predictor, "_MOST", 7)
    assert_near(on_torch(network).predict_scores(images), whole, 1e-6)
    assert on_torch(network).predict_scores(images[:0]).shape == (0, 4)


# The largest map of `small` has 9 · 5 · 6 floats, and four of such are counted.
@pytest.mark.parametrize(("room", "images"), [(4 * 4 * 270 * 5 + 9, 5), (1 << 40, 4096), (1, 1)])
def test_a_batch_is_as_large_as_its_maps_allow(monkeypatch, room, images):
    monkeypatch.setattr(torch_predictor, "_ON_CPU", room)
    assert torch_predictor.TorchPredictor(*parts_of(small()))._batch == images


def test_a_new_weight_is_predicted_by():
    network = on_torch(small())
    images, _ = data_for(network)
    before = network.predict_scores(images)
    network.load_state_dict({k: 2 * v for k, v in network.state_dict().items()})
    assert np.abs(network.predict_scores(images) - before).max() > 0.1


def test_threads_take_turns():
    network = on_torch(small())
    images, _ = data_for(network)
    wanted, found = network.predict_scores(images), []
    many = [
        threading.Thread(target=lambda: found.append(network.predict_scores(images)))
        for _ in range(8)
    ]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert len(found) == 8
    assert all((one == wanted).all() for one in found)


def test_copies_keep_the_engine_and_the_network_itself_does_not_change(no_kernels):
    network = small()
    images, _ = data_for(network)
    others = [on_torch(network), on_torch(network).copy(), copy.deepcopy(on_torch(network))]
    no_kernels()
    with pytest.raises(AssertionError, match="own engine was asked"):
        network.predict_proba(images)
    assert all(len(other.predict_proba(images)) == len(images) for other in others)
    others[0].use_engine("neocog")
    with pytest.raises(AssertionError, match="own engine was asked"):
        others[0].predict_proba(images)


@pytest.mark.parametrize("tta", [None, "flip+shift"])
def test_an_evaluation(no_kernels, tta):
    network = small()
    data = data_for(network)
    wanted = neocog.evaluate(network, data, tta=tta)
    no_kernels()
    found = neocog.evaluate(on_torch(network), data, tta=tta)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-6)
    assert (found.predicted == wanted.predicted).all()


@pytest.mark.parametrize("averaging", [None, neocog.EMA(0.5)])
def test_a_run_validates_by_the_engine_that_trains(monkeypatch, averaging):
    network = small()
    data, held_out = data_for(network), data_for(network, images=20)
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict", None)
        history = neocog.fit(
            network,
            data,
            engine="torch",
            device="cpu",
            epochs=2,
            averaging=averaging,
            validation=held_out,
            callback=neocog.Callback(),
        )
    # The network itself predicts by neocog's kernels, and with the same weights.
    wanted = neocog.evaluate(network, held_out)
    assert history.epochs[-1].validation_loss == pytest.approx(wanted.loss, rel=1e-5)
    assert history.epochs[-1].validation_accuracy == wanted.accuracy
    assert history.epochs[0].validation_loss != history.epochs[1].validation_loss


@pytest.mark.parametrize(
    ("engine", "device", "work", "taken", "why"),
    [
        ("auto", None, 10**11, "neocog", "there is little to compute"),
        ("auto", None, 10**13, "torch", "there is a GPU"),
        ("auto", "cpu", 10**13, "neocog", "device='cpu' asks for the CPU"),
        ("torch", None, 1, "torch", "engine='torch' asks for it"),
        ("auto", "cuda", 1, "torch", "device='cuda' asks for it"),
    ],
)
def test_a_gpu_is_taken_where_there_is_much_to_compute(
    monkeypatch, engine, device, work, taken, why
):
    cuda = torch_predictor.torch.cuda
    monkeypatch.setattr(engines, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "device_count", lambda: 1)
    monkeypatch.setattr(cuda, "get_device_name", lambda device: "GPU")
    found = choose_for_predictions(engine, device, work)
    assert (found.engine, found.why) == (taken, why)


def test_what_cannot_be():
    with pytest.raises(NeocogError, match=r"engine \(='jax'\) must be one of"):
        small().use_engine("jax")
    with pytest.raises(NeocogError, match=r"device \(='cuda'\) is for engine='torch'"):
        small().use_engine("neocog", "cuda")
    with pytest.raises(NeocogError, match="threads"):
        on_torch(small()).predict_proba(data_for(small())[0], threads=0)
    with pytest.raises(neocog.DataError):
        on_torch(small()).predict_proba(np.zeros((2, 9, 9, 3), np.uint8))

"""`TrainingRun`: a run that goes on from any step comes to the bits of one that never stopped."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from run_parts import BATCH, IMAGES, advance, data, end_of, network, new_run, resumed, settings

import neocog
from neocog import Augmentation, Dropout
from neocog.errors import FormatError, NeocogError
from neocog.formats.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from neocog.training.run import TrainingRun

AUGMENTED = Augmentation(flip="random", translate=1, cutout=2, mixup=0.4)
RUNS = {
    "plain": {},
    "averaged": {"augmentation": AUGMENTED, "optimizer": "adamw", "ema": 0.9, "accumulate": 3},
    "muon": {"optimizer": "muon", "averaging": "lookahead", "freeze_after": {"conv.*": 1}},
    "balanced": {"balance": "sample", "schedule": "one-cycle", "clip_norm": 1.0, "accumulate": 2},
    "weighed": {"balance": "weight", "optimizer": "adam", "label_smoothing": 0.1, "seed": -7},
}
TOTAL = 2 * 8
WHOLE = {}


def whole_run(name):
    """What a run comes to that never stops, computed once."""
    if name not in WHOLE:
        WHOLE[name] = end_of(advance(new_run(settings(**RUNS[name]), weights_of(name))))
    return WHOLE[name]


def weights_of(name):
    return np.linspace(0, 2, IMAGES) if name == "weighed" else None


@pytest.mark.parametrize("name", RUNS)
@examples(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stops=st.lists(st.integers(0, TOTAL), min_size=1, max_size=3).map(sorted),
    threads=st.lists(st.sampled_from([1, 2]), min_size=3, max_size=3),
)
def test_from_any_step(name, stops, threads, tmp_path):
    how, weights = settings(**RUNS[name]), weights_of(name)
    run, done = new_run(how, weights), 0
    for stop, count in zip(stops, threads, strict=False):
        advance(run, stop - done)
        done = stop
        write_checkpoint(tmp_path / "state", run.state())
        again = settings(**RUNS[name], threads=count)
        run = resumed(read_checkpoint(tmp_path / "state"), again, weights)
    assert end_of(advance(run)) == whole_run(name)


def test_a_state_is_kept_while_the_next_program_is_compiled(monkeypatch):
    """Parameters come to rest after the first epoch, and Ctrl+C comes before the second begins."""
    how = settings(optimizer=neocog.SGD(0.05, momentum=0.9), freeze_after={"conv.*": 1})
    whole = end_of(advance(new_run(how)))
    run = advance(new_run(how), 8)
    run.next_epoch()
    with monkeypatch.context() as patch:
        patch.setattr(
            "neocog.training.run.make_trainer",
            lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        assert not run.is_compiled
        with pytest.raises(KeyboardInterrupt):
            run.step()
        kept = run.state()
    assert kept.arrays["optimizer/conv.weight.velocity"].any()
    assert end_of(advance(resumed(kept, how))) == whole


def test_more_epochs_come_to_what_a_longer_run_does():
    long, short = settings(epochs=3, ema=0.9), settings(epochs=1, ema=0.9)
    first = advance(new_run(short))
    assert end_of(advance(resumed(first.state(), long))) == end_of(advance(new_run(long)))


def test_a_part_of_an_epoch_goes_on_within_it():
    long, short = settings(epochs=2), settings(epochs=1.5)
    first = advance(new_run(short))
    assert (first.epoch, first.batch) == (2, 4)
    assert end_of(advance(resumed(first.state(), long))) == end_of(advance(new_run(long)))


def test_an_epoch_that_ended_within_a_step_cannot_go_on():
    first = advance(new_run(settings(epochs=1.5, accumulate=3)))
    with pytest.raises(NeocogError, match="ended within epoch 2 by a step of fewer than 3 batches"):
        resumed(first.state(), settings(epochs=2, accumulate=3))


def test_fewer_epochs_than_are_done():
    first = advance(new_run(settings(epochs=2)))
    with pytest.raises(
        NeocogError, match="batch 8 of epoch 2, which is beyond the end of 1 epochs"
    ):
        resumed(first.state(), settings(epochs=1))


def test_other_settings_are_refused_by_name():
    state = advance(new_run(settings()), 3).state()
    with pytest.raises(NeocogError) as caught:
        resumed(state, settings(lr=0.5, seed=4, log_every=7))
    assert str(caught.value).startswith(
        "These settings cannot change when a run is continued: lr (was 0.001, is 0.5), "
        "seed (was 0, is 4). It would be another run:"
    )
    resumed(state, settings(log_every=7, threads=1, patience=3, keep_checkpoints=9, epochs=9))


def test_other_data_are_refused():
    state = advance(new_run(settings()), 3).state()
    for other in (data(1), data()[: IMAGES - 1]):
        with pytest.raises(NeocogError, match="The run was trained on 30 images of 8 × 8 × 3"):
            TrainingRun(network(), other, settings()).load_state(state)
    one = data()
    one.labels[5] = (one.labels[5] + 1) % 4
    with pytest.raises(NeocogError, match="Continue it with the data it began with"):
        TrainingRun(network(), one, settings()).load_state(state)
    with pytest.raises(NeocogError, match="Continue it with the data it began with"):
        resumed(state, settings(), np.ones(IMAGES))


def test_another_network_is_refused():
    state = advance(new_run(settings()), 3).state()
    layers = {**network().layers, "dropout": Dropout(0.2)}
    other = neocog.Network(input_shape=(3, 8, 8), **layers)
    with pytest.raises(NeocogError, match="The run was of another network"):
        TrainingRun(other, data(), settings()).load_state(state)


def test_what_is_no_state_of_a_run():
    state = advance(new_run(settings()), 3).state()
    for key, value in (
        *(("epoch", one) for one in (0, -1, "1", None, 2.5, True, 2**60)),
        ("batch", 4),
        ("history", []),
        ("history", {"logged": [{"loss": 1}], "epochs": []}),
        ("data", None),
        ("settings", 3),
    ):
        damaged = Checkpoint(state.arrays, {**state.values, key: value})
        with pytest.raises(FormatError, match="This is no checkpoint of a training run"):
            resumed(damaged, settings())
    with pytest.raises(FormatError, match="This is no checkpoint of a training run"):
        resumed(Checkpoint({}, {}), settings())


def test_arrays_of_other_shapes_or_names():
    state = advance(new_run(settings()), 3).state()
    for key in ("network/fc.weight", "optimizer/fc.weight.velocity", "stream/position"):
        assert key in state.arrays, list(state.arrays)
        without = {k: v for k, v in state.arrays.items() if k != key}
        for arrays in (without, {**without, key: np.zeros((2, 2), np.float32)}):
            with pytest.raises(NeocogError):
                resumed(Checkpoint(arrays, state.values), settings()).step()


def test_a_run_is_the_same_as_batches_of_the_engine():
    """The sizes that the other tests rely on."""
    run = new_run(settings())
    assert (run.batches, BATCH, run.length.total) == (8, 4, TOTAL)

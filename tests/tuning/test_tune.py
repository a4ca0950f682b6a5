"""`neocog.tune`: trials, what is kept of them, and going on."""

import signal

import numpy as np
import pytest
from tuned import GOOD, SETTINGS, SLOW, WILD, linear, little_data

pytest.importorskip("optuna")

import neocog
from neocog import NeocogError, Recipe
from neocog.settings.toml import read_toml
from neocog.tuning.held_out import with_validation

RATES = {"lr": [GOOD, SLOW]}


def tune(folder, space=None, trials=3, settings=SETTINGS, data=None, **more):
    return neocog.tune(
        data or little_data(),
        settings,
        space=space,
        trials=trials,
        study=folder,
        network=linear,
        **more,
    )


def kept_models(folder) -> list[str]:
    return sorted({path.parent.name for path in folder.glob("trials/*/*.safetensors")})


def test_the_best_trial_and_what_is_kept(tmp_path):
    found = tune(tmp_path, {"lr": "1e-4..0.1:log"}, trials=4, settings=SETTINGS, lr=GOOD)
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    assert found.trials[0].values == {"optimizer.lr": GOOD}
    assert {trial.outcome for trial in found.trials} <= {"finished", "pruned"}
    values = [trial.value for trial in found.trials if trial.value is not None]
    assert found.best.value == min(values)
    assert found.best_settings.optimizer.lr == found.best.values["optimizer.lr"]
    assert kept_models(tmp_path) == [f"{found.best.number:04d}"]
    assert len(list(tmp_path.glob("trials/*/history.csv"))) == 4
    best = read_toml(tmp_path / "best.toml", "configuration")
    assert best["optimizer"]["lr"] == found.best.values["optimizer.lr"]
    assert best["epochs"] == 2
    assert not list(tmp_path.glob("**/*.lock"))


def test_the_value_is_that_of_the_same_training_by_itself(tmp_path):
    found = tune(tmp_path, RATES, trials=1, settings=SETTINGS, lr=GOOD)
    data = with_validation(little_data())
    history = neocog.fit(
        linear(SETTINGS, data), data.train, SETTINGS, validation=data.validation, lr=GOOD
    )
    assert found.best.value == min(epoch.validation_loss for epoch in history.epochs)


def test_by_accuracy_the_most_is_the_best(tmp_path):
    slow_first = neocog.Recipe(**{**vars(SETTINGS), "monitor": "validation_accuracy"})
    found = tune(tmp_path, {"lr": [1e-9, GOOD]}, trials=4, settings=slow_first)
    assert found.best.value == max(t.value for t in found.trials if t.value is not None)
    assert found.best.values == {"optimizer.lr": GOOD}
    assert found.best.value > 0.9


def test_test_images_are_never_looked_at(tmp_path, monkeypatch):
    data = little_data(test=8)
    data.test.labels[:] = 77  # no class that there is: whoever evaluates these fails
    assert tune(tmp_path, RATES, trials=1, data=data).best is not None


def test_what_is_held_out(tmp_path):
    data = little_data(40, 8)
    kept = with_validation(data)
    assert (len(kept.train), len(kept.validation), len(kept.test)) == (32, 8, 0)
    assert np.bincount(kept.validation.labels).tolist() == [4, 4]
    pixels = {image.tobytes() for image in kept.train.images}
    assert not pixels & {image.tobytes() for image in kept.validation.images}
    own = neocog.Data("own", data.train, data.test, data.classes, validation=data.test)
    assert with_validation(own).validation is data.test


def test_no_images_to_hold_out(tmp_path):
    data = little_data()
    alike = neocog.Data("alike", data.train[:2], data.test, data.classes)
    with pytest.raises(NeocogError, match="alike has no images for validation"):
        tune(tmp_path / "new", RATES, data=alike)
    assert not (tmp_path / "new").exists()


def test_it_goes_on_to_what_it_would_have_come_to(tmp_path):
    space = {"lr": "1e-3..0.1:log", "momentum": "0..0.9"}
    whole = tune(tmp_path / "whole", space, trials=5)
    tune(tmp_path / "parts", space, trials=2)
    found = tune(tmp_path / "parts", space, trials=5)
    assert [t.values for t in found.trials] == [t.values for t in whole.trials]
    assert [t.value for t in found.trials] == [t.value for t in whole.trials]
    assert len({t.values["optimizer.lr"] for t in found.trials}) == 5
    again = tune(tmp_path / "parts", None, trials=5)  # with the study's own space
    assert again.trials == found.trials


def test_another_seed_draws_other_values(tmp_path):
    space = {"lr": "1e-3..0.1:log"}
    one = tune(tmp_path / "one", space, trials=2)
    other = tune(tmp_path / "other", space, trials=2, seed=4)
    assert one.trials[1].values != other.trials[1].values


def test_a_bad_trial_is_pruned(tmp_path):
    reports = []

    class Count(neocog.Callback):
        def epoch_done(self, epoch, history):
            reports.append(epoch.epoch)

    rates = {"lr": [GOOD, SLOW, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9]}
    found = tune(tmp_path, rates, trials=9, epochs=4, lr=GOOD, callback=Count())
    pruned = [trial for trial in found.trials if trial.outcome == "pruned"]
    assert pruned
    assert all(trial.epochs < 4 and trial.value is None for trial in pruned)
    assert len(reports) == sum(trial.epochs for trial in found.trials)


def test_a_trial_that_diverges_is_no_error(tmp_path):
    found = tune(tmp_path, {"lr": [GOOD, WILD]}, trials=6, lr=WILD)
    outcomes = {trial.outcome for trial in found.trials if trial.values["optimizer.lr"] == WILD}
    assert outcomes == {"diverged"}
    assert "in epoch 1, batch 2" in found.trials[0].reason
    assert found.best.values["optimizer.lr"] == GOOD


def test_three_failures_in_a_row_end_it(tmp_path):
    def none(settings, data):
        raise NeocogError("there is no network today.")

    with pytest.raises(NeocogError, match="3 trials in a row failed; the last: there is no netw"):
        neocog.tune(little_data(), SETTINGS, space=RATES, study=tmp_path, network=none)


def test_what_is_raised_leaves_no_trial_under_way(tmp_path):
    class Breaks(neocog.Callback):
        def epoch_done(self, epoch, history):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tune(tmp_path, RATES, callback=Breaks())
    assert tune(tmp_path, RATES, trials=1).trials[0].outcome == "interrupted"


@pytest.mark.parametrize("when", ["compiling", "epoch_done", "trial_done"])
def test_ctrl_c_ends_it_and_it_goes_on(tmp_path, when):
    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    callback = neocog.Callback()
    if when == "compiling":
        callback.begin = interrupt
    elif when == "epoch_done":
        callback.epoch_done = interrupt
    on_trial = interrupt if when == "trial_done" else None
    found = tune(tmp_path, RATES, callback=callback, on_trial=on_trial)
    assert found.interrupted
    ended = "finished" if when == "trial_done" else "interrupted"
    assert [trial.outcome for trial in found.trials] == [ended]
    again = tune(tmp_path, RATES)
    assert not again.interrupted
    assert sum(trial.counts for trial in again.trials) == 3
    if when != "trial_done":
        assert again.trials[1].values == found.trials[0].values
    assert len(kept_models(tmp_path)) == 1


def test_time_is_over(tmp_path):
    found = tune(tmp_path, RATES, trials=50, minutes=1e-9)
    assert len(found.trials) <= 1
    assert found.interrupted is False


def test_networks_are_made_before_anything_runs(tmp_path):
    with pytest.raises(NeocogError, match=r"space model=simple-cnn,lenet5: "):
        neocog.tune(
            little_data(), Recipe(), space={"model": "simple-cnn,lenet5"}, study=tmp_path / "new"
        )
    assert not (tmp_path / "new").exists()


def test_importance_and_the_usual_space(tmp_path):
    found = tune(tmp_path, trials=7)
    assert set(found.space) == {
        "optimizer.lr",
        "optimizer.weight_decay",
        "label_smoothing",
        "augmentation.translate",
    }
    assert sum(found.importance.values()) == pytest.approx(1)
    assert found.to_dict()["best"]["value"] == found.best.value

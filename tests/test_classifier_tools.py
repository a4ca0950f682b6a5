"""`ImageClassifier` in scikit-learn's tools: settings within settings, pipelines, searches."""

import numpy as np
import pytest

import neocog
from neocog import SGD, Adam, AdamW, Augmentation, NeocogError
from neocog.settings.schedules import Cosine, Warmup

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from neocog import ImageClassifier

X, Y = load_digits(return_X_y=True)
X, Y = X[:300], Y[:300]


def classifier(**settings):
    usual = {"image_shape": (8, 8, 1), "epochs": 5, "random_state": 0, "threads": 1}
    return ImageClassifier(**usual | settings)


def test_settings_within_settings_have_names():
    params = classifier(optimizer=SGD(0.1), schedule=Warmup(then=Cosine(0.2))).get_params()
    assert params["optimizer__lr"] == 0.1
    assert params["schedule__then__end"] == 0.2
    assert not [name for name in params if name.startswith(("averaging__", "augmentation__"))]
    assert "optimizer__lr" not in classifier(optimizer=SGD(0.1)).get_params(deep=False)


def test_settings_within_settings_can_be_set():
    given = SGD(0.1, momentum=0.5)
    found = classifier(optimizer=given, schedule=Warmup(then=Cosine(0.2)))
    found.set_params(optimizer__lr=0.3, schedule__then__end=0.4, schedule__start=0.5, epochs=7)
    assert found.optimizer == SGD(0.3, momentum=0.5)
    assert found.schedule == Warmup(start=0.5, then=Cosine(0.4))
    assert found.epochs == 7
    assert given.lr == 0.1
    # Another one at once, and one within it.
    assert found.set_params(optimizer=Adam(), optimizer__eps=0.1).optimizer == Adam(eps=0.1)
    # None stands for these.
    found = classifier().set_params(optimizer__lr=0.5, augmentation__flip="random")
    assert found.optimizer == SGD(0.5, momentum=0.9, nesterov=True)
    assert found.augmentation == Augmentation(flip="random")
    # And names for those with defaults.
    found = classifier(optimizer="adamw").set_params(optimizer__eps=0.1, schedule="linear")
    assert found.optimizer == AdamW(eps=0.1)
    assert found.fit(X / 16, Y).network_.initialized


def test_settings_that_are_not_there():
    with pytest.raises(NeocogError, match=r"SGD.* 'momentun'. Did you mean 'momentum'"):
        classifier().set_params(optimizer__momentun=0.5)
    with pytest.raises(NeocogError, match=r"averaging.decay needs to know which averaging"):
        classifier().set_params(averaging__decay=0.5)
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        classifier().set_params(epoch=1)
    with pytest.raises(NeocogError, match=r"SGD: lr \(=-1\) must be"):
        classifier().set_params(optimizer__lr=-1)


def test_clones_are_alike_and_not_fitted():
    found = classifier(optimizer=SGD(0.1), augmentation=Augmentation(translate=1)).fit(X / 16, Y)
    copy = clone(found)
    assert copy.get_params() == found.get_params()
    assert not hasattr(copy, "network_")
    np.testing.assert_array_equal(
        copy.fit(X / 16, Y).predict_proba(X / 16), found.predict_proba(X / 16)
    )


def test_a_pipeline_with_a_scaler_and_cross_validation(tmp_path):
    pipeline = make_pipeline(MinMaxScaler(clip=True), classifier(epochs=10))
    assert cross_val_score(pipeline, X, Y, cv=3).mean() > 0.85
    pipeline.fit(X, Y, imageclassifier__sample_weight=np.ones(len(X)))
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    again = joblib.load(tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))
    assert again[-1].network_.input_shape == (1, 8, 8)


def test_a_search_of_settings_in_two_processes():
    grid = {"optimizer__lr": [1e-6, 0.05], "batch_size": [16, 32]}
    search = GridSearchCV(classifier(pixel_range=(0, 16)), grid, cv=2, n_jobs=2)
    search.fit(X, Y)
    assert search.best_params_["optimizer__lr"] == 0.05
    assert search.best_score_ > 0.8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert isinstance(search.best_estimator_.network_, neocog.Network)

"""scikit-learn's own checks of estimators."""

from math import prod

import pytest

from neocog import Flatten, Linear, Network

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from neocog import ImageClassifier

#: Checks that cannot hold, and why.
NOT_HELD = {
    "check_sample_weight_equivalence_on_dense_data": (
        "An image that is there twice is in two batches, one of weight 2 in one, and an epoch's "
        "order is drawn for as many images as there are."
    ),
}


class TinyNetwork:
    """Of few kernels, as the checks have images of many sizes."""

    def __call__(self, classes, input_shape):
        return Network(
            input_shape=input_shape, flatten=Flatten(), fc=Linear(prod(input_shape), classes)
        )

    def __repr__(self):
        """The same in every process: the tests are called after it."""
        return "TinyNetwork()"


def classifier():
    return ImageClassifier(
        TinyNetwork(), image_shape=(1, -1, 1), pixel_range="data", batch_size=8, threads=1
    )


@parametrize_with_checks([classifier()], expected_failed_checks=lambda _: NOT_HELD)
def test_scikit_learn(estimator, check):
    check(estimator)

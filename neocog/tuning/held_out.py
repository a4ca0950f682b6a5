"""The images that trials are compared by."""

from dataclasses import replace

from neocog.data.dataset import Data
from neocog.errors import DataError, printable

__all__ = ["with_validation"]

_PART = 0.2


def with_validation(data: Data) -> Data:
    """The data with a part for validation, and without the one for testing.

    Where they have none, a fifth of each class is held out of the training part, always the same
    one; equal images are on one side together. What is for testing is never looked at: settings
    that were chosen by it would say nothing of how good they are.

    Raises:
        DataError: there are no images that could be held out.
    """
    if not len(data.validation):
        train = data.train
        if not len(train):
            raise DataError(f"{printable(data.name)} has no images to train on.")
        parts = Data.from_arrays(train.images, train.labels, classes=data.classes, validation=_PART)
        if not len(parts.validation):
            raise DataError(
                f"{printable(data.name)} has no images for validation, by which trials are "
                "compared, and no class of which one could be held out: that takes two different "
                "images of a class."
            )
        data = replace(data, train=parts.train, validation=parts.validation)
    return replace(data, test=data.test[:0])

"""A network as a scikit-learn estimator, for pipelines, searches and cross-validation.

This is the only module that imports scikit-learn, which is an extra.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.errors import ArchitectureError, NeocogError
from neocog.image_rows import (
    as_bytes,
    as_rows,
    check_image_shape,
    check_pixel_range,
    settle_image_shape,
    settle_pixel_range,
)
from neocog.models import make
from neocog.network import Network
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import Averaging
from neocog.settings.optimizers import SGD, Optimizer
from neocog.settings.override import override
from neocog.settings.schedules import Constant, Cosine, Schedule
from neocog.settings.setting import Settings
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback
from neocog.training.fit import fit
from neocog.training.history import History
from neocog.validation import refuse, shown

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_array, check_consistent_length, check_random_state
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data
except ImportError as error:
    raise NeocogError(
        "ImageClassifier is an estimator of scikit-learn (1.6 or newer), which is not installed: "
        "pip install 'neocog[sklearn]'"
    ) from error

__all__ = ["ImageClassifier"]

# Defaults of parameters that are None.
_USUAL = TrainingSettings(
    epochs=20,
    batch_size=32,
    optimizer=SGD(0.02, momentum=0.9, nesterov=True),
    schedule=Cosine(),
)
# Parameters that have settings of their own.
_PARTS = ("optimizer", "schedule", "averaging", "augmentation")
# Other parameters that are settings of training.
_NUMBERS = ("epochs", "batch_size", "label_smoothing", "clip_norm", "accumulate")
_OF_ENGINE = ("threads", "engine", "device", "precision", "compile")


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped
    """A convolutional network that scikit-learn's tools can train, search and cross-validate.

    Images are uint8 [n, height, width, channels], or flat, [n, height · width · channels], with
    `image_shape`. Floats are from 0 to 1, or have a `pixel_range`, and are quantized to 256 levels.

    Args:
        model: a name of `neocog.models`; a function that makes a `Network` from the number of
            classes and ``input_shape=(channels, height, width)``, as those of `neocog.models` do;
            or a `Network`, of which a copy is trained, starting from its weights if it has any.
        width: factor for the numbers of channels of a model given by name.
        image_shape: (height, width, channels) of flat images; one may be -1 and is then inferred.
        pixel_range: (lowest, highest) pixel value of images that are neither uint8 from 0 to 255
            nor floats from 0 to 1; values outside are refused. "data" takes the range of the images
            in `fit`, and clips later values to it.
        epochs: number of times that `fit` shows each image.
        batch_size: images per batch.
        optimizer: as in `neocog.fit`, or its name; None is ``SGD(0.02, momentum=0.9,
            nesterov=True)``. Its settings can be searched: ``{"optimizer__lr": [0.01, 0.1]}``; and
            so can those of the next three.
        schedule: None is ``schedules.Cosine()``; only `fit` uses it.
        averaging: as in `neocog.fit`; only `fit` uses it.
        augmentation: as in `neocog.fit`.
        class_weight: "balanced", or weights by class, where missing classes have weight 1; None
            weights all classes equally.
        label_smoothing, clip_norm, accumulate: as in `neocog.fit`.
        freeze_after: as in `neocog.fit`; only `fit` uses it.
        random_state: seed of the initial weights, the order of images, augmentation and dropout; an
            integer makes `fit` reproducible.
        threads: number of workers; None uses as many as this process may use.
        engine, device, precision, compile: as in `neocog.fit`.
        verbose: whether to show a line of progress in interactive Python.

    Attributes:
        classes_: the labels in `y`, sorted.
        network_: the trained `Network`.
        history_: the `History` of the latest call of `fit` or `partial_fit`.
        image_shape_: (height, width, channels) of an image.
        pixel_range_: the numbers that become 0 and 255, or None.
        n_features_in_: height · width · channels.
        feature_names_in_: names of the columns, where X was a data frame.

    What is wrong with images, labels or weights is a `ValueError`, as scikit-learn's users expect;
    what is wrong with a setting, a `NeocogError`.
    """

    classes_: NDArray[Any]
    network_: Network
    history_: History
    image_shape_: tuple[int, int, int]
    pixel_range_: tuple[float, float] | None

    def __init__(
        self,
        model: "str | Callable[..., Network] | Network" = "simple-cnn",
        *,
        width: float = 1.0,
        image_shape: tuple[int, int, int] | None = None,
        pixel_range: tuple[float, float] | str | None = None,
        epochs: float = 20,
        batch_size: int = 32,
        optimizer: Optimizer | str | None = None,
        schedule: Schedule | str | None = None,
        averaging: Averaging | str | None = None,
        augmentation: Augmentation | None = None,
        label_smoothing: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        freeze_after: Mapping[str, int] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        engine: str = "auto",
        device: str | None = None,
        precision: str = "float32",
        compile: bool = False,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.width = width
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.schedule = schedule
        self.averaging = averaging
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.clip_norm = clip_norm
        self.accumulate = accumulate
        self.freeze_after = freeze_after
        self.random_state = random_state
        self.threads = threads
        self.engine = engine
        self.device = device
        self.precision = precision
        self.compile = compile
        self.verbose = verbose

    # Settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; with `deep` also those within, such as ``optimizer__lr``."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            for name in _PARTS:
                params.update(_inner_params(name, params[name]))
        return params

    def set_params(self, **params: Any) -> "ImageClassifier":
        """Set parameters, also those within others, such as ``optimizer__lr=0.1``."""
        inner = {name for name in params if "__" in name and name.partition("__")[0] in _PARTS}
        super().set_params(**{name: params[name] for name in params if name not in inner})
        for part in {name.partition("__")[0] for name in inner}:
            changes = {n.replace("__", "."): params[n] for n in inner if n.startswith(f"{part}__")}
            if getattr(self, part) is not None:
                changes[part] = getattr(self, part)
            setattr(self, part, getattr(override(_USUAL, **changes), part))
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Whether rows of numbers, and gray images without an axis of channels, are taken.
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = self.image_shape is not None
        return tags

    # Training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ImageClassifier":
        """Train a new network.

        Args:
            X: images, as above.
            y: [n], a label of any type for each.
            sample_weight: [n], a number from 0 for each; the loss of a batch is the mean with
                these weights, and images of weight 0 are left out.

        Raises:
            ValueError: images, labels or weights that cannot be; some are `DataError` too.
            NeocogError: settings that cannot be.
            TrainingDivergedError: the loss became NaN or infinite.
            KeyboardInterrupt: Ctrl+C; `network_` then has the weights so far.
        """
        rows, y = self._labeled(X, y, first=True)
        weights = _checked_weights(sample_weight, len(rows))
        settings = self._settings("schedule", "averaging", "freeze_after")
        self._begin(rows, np.unique(y))
        return self._train(rows, y, weights, settings)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "ImageClassifier":
        """Train for one epoch on these images, from the weights that there are.

        The learning rate is the optimizer's, without the schedule, and there is no averaging, as
        nobody knows how many calls will come. The optimizer's memory, such as momentum, begins anew
        in each. `class_weight` cannot be "balanced".

        Args:
            X: images, as above.
            y: [n], a label for each.
            classes: all labels that will ever come; needed in the first call.
            sample_weight: as in `fit`.

        Raises:
            ValueError: as `fit`; or a label that is none of the classes, or classes that are
                missing or others than before.
            NeocogError: as `fit`.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight (={shown(self.class_weight)}) must be weights by class for "
                "partial_fit, which does not see all images: give those that "
                "sklearn.utils.class_weight.compute_class_weight gives."
            )
        rows, y = self._labeled(X, y, first=first)
        weights = _checked_weights(sample_weight, len(rows))
        settings = replace(self._settings(), epochs=1, schedule=Constant())
        known = self.classes_ if classes is None else np.unique(classes)
        if not first and not np.array_equal(self.classes_, known):
            raise ValueError(
                f"classes (={shown(classes)}) must be those of the first call of partial_fit: "
                f"{shown(self.classes_.tolist())}."
            )
        unknown = y[~np.isin(y, known)].tolist()
        if unknown:
            raise ValueError(f"y has the label {shown(unknown[0])}, which is none of the classes.")
        if first:
            self._begin(rows, known)
        return self._train(rows, y, weights, settings)

    def _settings(self, *others: str) -> TrainingSettings:
        """What the parameters say of a training; of some of them only where they are named."""
        given = {name: getattr(self, name) for name in (*_NUMBERS, *_OF_ENGINE)}
        for name in ("optimizer", "augmentation", *others):
            if getattr(self, name) is not None:
                given[name] = getattr(self, name)
        return override(_USUAL, **given)

    def _begin(self, rows: NDArray[Any], classes: NDArray[Any]) -> None:
        """Make the network."""
        self.pixel_range_ = settle_pixel_range(check_pixel_range(self.pixel_range), rows)
        self.classes_ = classes
        random = check_random_state(self.random_state)
        is_seed = isinstance(self.random_state, Integral)
        self._seed = int(self.random_state) if is_seed else int(random.randint(2**31))
        self.network_ = self._network()

    def _network(self) -> Network:
        height, width, channels = self.image_shape_
        count, shape = len(self.classes_), (channels, height, width)
        model = self.model
        if isinstance(model, str):
            network = make(model, count, width=self.width, input_shape=shape)
        elif self.width != 1.0:
            raise ArchitectureError(
                f"width (={shown(self.width)}) is for models with a name: make the network so wide."
            )
        elif isinstance(model, Network):
            network = model.copy()
        elif callable(model):
            network = model(count, input_shape=shape)
        else:
            network = None
        if not isinstance(network, Network):
            wanted = "a name of neocog.models, a Network, or a function that makes one"
            raise refuse("model", model, wanted, ArchitectureError)
        if (network.input_shape, network.output_shape) != (shape, (count,)):
            raise ArchitectureError(
                f"The model takes {network.input_shape} and gives {network.output_shape}, but the "
                f"images (channels, height, width) are {shape} of {count} classes."
            )
        try:
            network.classes = tuple(str(label) for label in self.classes_.tolist())
        except ArchitectureError:  # no labels for people
            network.classes = None
        return network

    def _train(
        self,
        rows: NDArray[Any],
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        settings: TrainingSettings,
    ) -> "ImageClassifier":
        pixels = self._pixels(rows)
        labels = np.searchsorted(self.classes_, y)
        if weights is not None and not weights.all():
            counted = weights > 0
            pixels, labels, weights = pixels[counted], labels[counted], weights[counted]
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            settings = replace(settings, balance="weight")
        elif self.class_weight is not None:
            of_classes = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_
            )
            settings = replace(settings, class_weights=of_classes)
        self.history_ = fit(
            self.network_,
            Dataset(pixels, labels),
            replace(settings, seed=self._seed),
            sample_weights=weights,
            callback=None if self.verbose else Callback(),
        )
        if self.history_.interrupted:  # `fit` has ended well; what it is a part of shall end too
            raise KeyboardInterrupt
        return self

    # Images

    def _labeled(self, X: Any, y: Any, *, first: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        """Images as rows, and their labels; the first ones decide of what shape images are."""
        rows, given = as_rows(X)
        rows, y = validate_data(self, rows, y, reset=first)
        check_classification_targets(y)
        shape = check_image_shape(self.image_shape) if first else self.image_shape_
        self.image_shape_ = settle_image_shape(shape, given, rows.shape[1])
        return rows, y

    def _pixels(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        from_data = isinstance(self.pixel_range, str)
        pixels = as_bytes(rows, self.pixel_range_, clip=from_data)
        return np.ascontiguousarray(pixels).reshape(len(rows), *self.image_shape_)

    # Prediction

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, float64 [n, classes], in the order of `classes_`.

        Any number of threads may predict at once.
        """
        check_is_fitted(self, "network_")
        rows, given = as_rows(X)
        rows = validate_data(self, rows, reset=False)
        settle_image_shape(self.image_shape_, given, rows.shape[1])
        found = self.network_.predict_proba(self._pixels(rows), threads=self.threads)
        exact = found.astype(np.float64)
        normalized: NDArray[np.float64] = exact / exact.sum(axis=1, keepdims=True)
        return normalized

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each image, [n], one of `classes_`."""
        best: NDArray[Any] = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels


def _inner_params(name: str, value: object) -> Iterator[tuple[str, Any]]:
    """The settings within settings, and within those, by scikit-learn's names."""
    if isinstance(value, Settings):
        for inner in value.names():
            within = getattr(value, inner)
            yield f"{name}__{inner}", within
            yield from _inner_params(f"{name}__{inner}", within)


def _checked_weights(given: Any, images: int) -> NDArray[np.float64] | None:
    if given is None:
        return None
    weights: NDArray[np.float64] = check_array(
        given, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(f"sample_weight must be [n], not {list(weights.shape)}.")
    check_consistent_length(weights, np.empty(images))
    check_non_negative(weights, "sample_weight")
    if not weights.any():
        raise ValueError("sample_weight must have a number that is not zero.")
    return weights

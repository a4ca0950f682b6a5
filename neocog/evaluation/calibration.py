"""Temperature scaling: makes probabilities match the accuracy.

p = softmax(z / T) with one temperature T > 0 for the whole network, which minimizes the mean
negative log-likelihood of images that the network was not trained on. It changes no prediction,
since the order of the classes is the same. C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On
calibration of modern neural networks", ICML 2017.

With β = 1 / T the mean loss

    L(β) = mean of (log Σ_k exp(β z_k) − β z_y)

is convex: its first derivative is the mean of E_p[z] − z_y, and its second that of Var_p[z] ≥ 0. So
there is one minimum, where the first derivative is zero. Newton's method finds it between bounds,
which are bisected whenever a step would leave them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.dataset import Data
from neocog.data.images import Dataset, as_dataset
from neocog.errors import DataError, printable
from neocog.evaluation.evaluating import scores_of
from neocog.evaluation.measures import image_scores
from neocog.evaluation.reliability import reliability
from neocog.losses import check_classifier
from neocog.network import Network, check_network
from neocog.reference import softmax

__all__ = ["Calibration", "calibrate", "fit_temperature", "images_to_calibrate"]

# Images whose probabilities are in memory at a time.
_CHUNK = 4096
# Bounds of β, relative to 1 over the largest margin between two scores of an image.
_LEAST, _MOST = 1e-6, 1e9
_STEPS = 100

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """The result of temperature scaling.

    Attributes:
        temperature: the network's new temperature.
        count: number of images that it was fitted on.
        loss_before: mean negative log-likelihood of these with the previous temperature.
        loss: the same with the new temperature.
        ece_before: expected calibration error, 0 to 1, with the previous temperature.
        ece: the same with the new temperature.
    """

    temperature: float
    count: int
    loss_before: float
    loss: float
    ece_before: float
    ece: float

    def to_dict(self) -> dict[str, float]:
        """The attributes as plain data."""
        return dict(vars(self))


def calibrate(network: Network, data: Dataset, *, threads: int | None = None) -> Calibration:
    """Fit the network's temperature on images that it was not trained on.

    From then on `Network.predict_proba` and everything that uses it gives softmax(z / T), and a
    ``.safetensors`` stores the temperature. Predictions do not change.

    Do not use the images of the final evaluation: probabilities would look better on them than on
    other images.

    Args:
        network: with weights; its `temperature` is replaced.
        data: such as ``data.validation``; a `Dataset` or a tuple (images, labels).
        threads: number of workers; None uses all available cores.

    Raises:
        DataError: the images or classes are not the network's; or no temperature is best, because
            all images are predicted right, or because the scores are no better than chance.
        NeocogError: the network's outputs are NaN or infinite.
    """
    network = check_network(network)
    check_classifier(network.loss, "Calibrating")
    data = as_dataset(data, "calibrate(network, data.validation)")
    scores = scores_of(network, data, threads=threads)
    temperature = fit_temperature(scores, data.labels)
    (loss_before, ece_before), (loss, ece) = (
        _loss_and_ece(scores, data.labels, one) for one in (network.temperature, temperature)
    )
    network.temperature = temperature
    return Calibration(temperature, len(data), loss_before, loss, ece_before, ece)


def _loss_and_ece(
    scores: Reals, labels: NDArray[np.int64], temperature: float
) -> tuple[float, float]:
    found = image_scores(scores, labels, temperature)
    return float(found.losses.mean()), reliability(found.confidence, found.ranks == 0).ece


def images_to_calibrate(data: Data) -> Dataset:
    """The validation images of some data, on which a temperature may be fitted.

    Raises:
        DataError: there are none.
    """
    if len(data.validation):
        return data.validation
    what = "only test images are" if len(data.test) else "nothing is"
    raise DataError(
        f"Of {printable(data.name)} {what} held out, so there are no validation images to "
        "calibrate on. Fitted on test images, probabilities would look better in the test than "
        "they are."
    )


def fit_temperature(scores: Reals, labels: NDArray[np.int64]) -> float:
    """The temperature T that minimizes the mean loss of softmax(scores / T).

    Args:
        scores: z, [n, classes], finite.
        labels: y, int64 [n].

    Raises:
        DataError: there is no such temperature: all images are predicted right, or the scores are
            no better than chance.
    """
    z = np.asarray(scores, np.float64)
    if not len(z):
        raise DataError("There are no images to calibrate on.")
    z = z - z.max(axis=1, keepdims=True)  # this changes no probability
    if _slopes(z, labels, 0.0)[0] >= 0:
        raise DataError(
            f"On these {len(z)} images the network is no better than chance, so no temperature "
            "fits them. Train it for longer, or see whether the labels are right."
        )
    if (z[np.arange(len(z)), labels] == 0).all():
        raise DataError(
            f"All of the {len(z)} images are predicted right, so no temperature is the best: the "
            "lower, the better. Calibrate on more images, or on harder ones."
        )
    scale = 1 / -z.min()
    low, high, beta = _LEAST * scale, _MOST * scale, min(max(1.0, _LEAST * scale), _MOST * scale)
    for _ in range(_STEPS):
        slope, curvature = _slopes(z, labels, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = slope / curvature if curvature > 0 else np.inf
        then = beta - step
        if not low < then < high:
            then = np.sqrt(low * high)
        if abs(then - beta) <= 1e-10 * beta:
            break
        beta = then
    return float(1 / beta)


def _slopes(z: Reals, labels: NDArray[np.int64], beta: float) -> tuple[float, float]:
    """The first and second derivatives of L at β."""
    first = second = 0.0
    for start in range(0, len(z), _CHUNK):
        part = z[start : start + _CHUNK]
        p = softmax(beta * part)
        mean = (p * part).sum(axis=1)
        first += (mean - part[np.arange(len(part)), labels[start : start + _CHUNK]]).sum()
        second += (p * (part - mean[:, None]) ** 2).sum()
    return first / len(z), second / len(z)

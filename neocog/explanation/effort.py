"""How many predictions the maps of what a network looks at take, by what one of them costs."""

from dataclasses import dataclass

from neocog.network import Network
from neocog.summary import cost

__all__ = ["Effort", "effort_for"]


@dataclass(frozen=True)
class Effort:
    """How finely attributions are computed.

    Attributes:
        steps: of the deletion and insertion curves.
        apart: the distance of occlusion's squares, in quarters of their side.
        layers: how many layers a page offers for Grad-CAM, besides the one that it begins with.
    """

    steps: int
    apart: int
    layers: int


# By the most multiply-adds of a prediction. A page then takes some 600, 200 and 90 predictions.
_EFFORTS = (
    (100_000_000, Effort(steps=20, apart=1, layers=6)),
    (2_000_000_000, Effort(steps=10, apart=2, layers=3)),
)
_LEAST = Effort(steps=5, apart=3, layers=1)


def effort_for(network: Network) -> Effort:
    """The effort for a network."""
    multiply_adds = cost(network).multiply_adds
    return next((effort for most, effort in _EFFORTS if multiply_adds <= most), _LEAST)

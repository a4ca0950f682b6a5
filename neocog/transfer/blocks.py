"""The last blocks: what lies behind a place learns, on maps that were computed once.

The maps of every view of the training pictures become a data set (`byte_maps`), on which the upper
part is trained by `neocog.fit`. An epoch sees each view of each picture once. Batch normalizations
keep their statistics in the lower part, and get new ones in the upper (`statistics`).
"""

from dataclasses import dataclass

from neocog.data.images import Dataset
from neocog.network import Network
from neocog.transfer.byte_maps import byte_maps, ranges_of
from neocog.transfer.cut import part_of_state, upper_of
from neocog.transfer.feature_cache import FeatureCache
from neocog.transfer.statistics import following_batches

__all__ = ["Blocks", "upper_part"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """An upper part, and the maps that it learns from.

    Attributes:
        upper: the part behind the place, which takes the maps' bytes as its images.
        train: maps of the training pictures' views.
        validation: maps of the validation pictures, of the whole view; None without any.
    """

    upper: Network
    train: Dataset
    validation: Dataset | None


def upper_part(
    network: Network,
    place: str,
    views: tuple[str, ...],
    train: Dataset,
    validation: Dataset | None,
    cache: FeatureCache,
) -> Blocks:
    """Compute the maps at a place, and cut off what lies behind it.

    Args:
        network: with weights.
        place: a name in `cut.places`.
        views: of the training pictures.
        train: pictures.
        validation: pictures.
        cache: of the features of this network at this place.
    """
    ranges = ranges_of(cache, train.images, views)
    graph = following_batches(upper_of(network.graph, place))
    upper = Network.from_graph(graph, preprocessing=ranges.preprocessing)
    upper.load_state_dict(part_of_state(graph, network.state_dict()))
    maps, held_out = byte_maps(cache, train, views, ranges), None
    if validation is not None and len(validation):  # last: their rows take others' place on disk
        held_out = byte_maps(cache, validation, ("whole",), ranges)
    return Blocks(upper, maps, held_out)

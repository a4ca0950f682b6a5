"""A sample of somebody's own pictures, to show which of them activate a network's filters."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from neocog.cli.picture_list import GivenPicture, given_pictures
from neocog.cli.terminal import counted, loading_progress, say
from neocog.data.images import Dataset
from neocog.data.options import LoadOptions
from neocog.errors import DataError
from neocog.explanation.page.top_activations import sample_size
from neocog.limits import available_cores
from neocog.network import Network

__all__ = ["own_pictures"]


def own_pictures(source: str, network: Network) -> Dataset:
    """Some pictures of a folder or another source, evenly spaced, as the network sees them.

    Those that cannot be read are left out, which is said.

    Args:
        source: as in `given_pictures`; without labels.
        network: whose input they become.

    Raises:
        NeocogError: there are no pictures, or none of them can be read.
    """
    pictures, count = given_pictures([source], LoadOptions())
    most = sample_size(network.input_shape)
    every = max(1, -(-(count or 0) // most))
    chosen = list(islice(pictures, 0, most * every, every))
    shape, resize = network.input_shape, network.preprocessing.resize

    def read(picture: GivenPicture) -> NDArray[np.uint8] | str:
        try:
            return picture.read(shape, resize)
        except DataError as error:
            return str(error)

    images, names, bad = [], [], []
    progress = loading_progress()
    with ThreadPoolExecutor(available_cores()) as pool:
        for done, (picture, found) in enumerate(
            zip(chosen, pool.map(read, chosen), strict=True), 1
        ):
            if isinstance(found, str):
                bad.append(found)
            else:
                images.append(found)
                names.append(picture.name)
            progress("reading", done, len(chosen))
    if not images:
        raise DataError(f"None of the pictures can be read: {bad[0]}")
    if bad:
        say(f"{counted(len(bad), 'picture')} could not be read and left out: {bad[0]}")
    if count is not None and count > len(chosen):
        say(f"Of {count:,} pictures every {every}th is looked at, {len(chosen):,} in all.")
    return Dataset(np.stack(images), np.zeros(len(images), np.int64), names)

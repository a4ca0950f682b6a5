"""Weights that others have trained: found, checked tensor by tensor, put into our networks.

`sources` knows the packages that have weights, `hub` asks the Hugging Face hub; `names` says what
other programs call our layers, `fitting` puts their tensors in place, and `loading` is what all of
it comes together in.
"""

from neocog.pretrained.loading import Pretrained, load_pretrained, open_pretrained
from neocog.pretrained.sources import PACKAGES, is_installed, not_installed

__all__ = [
    "PACKAGES",
    "Pretrained",
    "is_installed",
    "load_pretrained",
    "not_installed",
    "open_pretrained",
]

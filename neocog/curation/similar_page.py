"""The page of similar pictures: one HTML file with thumbnails, without scripts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.curation.embedding import Embedding
from neocog.curation.figures import figure, figures, section, skipped
from neocog.curation.findings import Match
from neocog.data.check.thumbnail import thumbnail
from neocog.pages.findings import escaped, findings_page

__all__ = ["similar_page"]


def similar_page(
    name: str,
    read: Callable[[], bytes | NDArray[np.uint8]],
    matches: Sequence[Match],
    embedding: Embedding,
) -> str:
    """The page as text.

    Args:
        name: of the picture that was compared with the others.
        read: gives its file or its pixels.
        matches: the most similar pictures, of `embedding`.
        embedding: all that were compared.
    """
    source = escaped(embedding.source.name)
    among = f"among {len(embedding):,} picture{'' if len(embedding) == 1 else 's'} of {source}"
    asked = figure(thumbnail(read), name, "compared with the others")
    body = "".join(
        [
            f"<header><h1>Similar pictures <small>{among}</small></h1></header>\n",
            f'<ul class="pictures large"><li>{asked}</li></ul>\n',
            section(
                "similar", "The most similar", len(matches), figures(embedding, matches, _about)
            ),
            skipped(embedding) if embedding.skipped else "",
            '<p class="hint">The similarity is the cosine of the features of two pictures, which '
            "the last linear layer of the network reads: 1 if they are the same to it.</p>\n",
        ]
    )
    return findings_page(f"{embedding.source.name}: similar pictures", body)


def _about(one: Match) -> str:
    label = f"<br>{escaped(one.label, 60)}" if one.label is not None else ""
    return f"similarity {one.similarity:.3f}{label}"

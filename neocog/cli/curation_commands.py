"""The arguments of commands that use the features of pictures."""

from typing import Any

from neocog.cli.argument_parser import ArgumentParser
from neocog.cli.arguments import MODEL, add_model, add_threads

__all__ = ["embed_arguments", "similar_arguments", "suggest_arguments"]


def embed_arguments(p: ArgumentParser) -> None:
    """Add those of ``neocog embed``."""

    def run(**options: Any) -> int:
        from neocog.cli.curation import embed

        return embed(**options)

    _add_features_of(p)
    p.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        help="file to write; .npz is for NumPy, .parquet for pandas, DuckDB and others",
    )
    p.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def similar_arguments(p: ArgumentParser) -> None:
    """Add those of ``neocog similar``."""

    def run(**options: Any) -> int:
        from neocog.cli.curation import similar

        return similar(**options)

    _add_features_of(p, picture=True)
    p.add_argument("--count", type=int, default=10, help="pictures to find (default: 10)")
    p.add_argument("--html", default=None, metavar="FILE", help="write a page with thumbnails")
    add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def suggest_arguments(p: ArgumentParser) -> None:
    """Add those of ``neocog suggest``."""

    def run(**options: Any) -> int:
        from neocog.cli.curation import suggest

        return suggest(**options)

    _add_features_of(p)
    p.add_argument(
        "--count", type=int, default=20, help="pictures of each list to print (default: 20)"
    )
    p.add_argument("--html", default=None, metavar="FILE", help="write a page with thumbnails")
    p.add_argument("--seed", type=int, default=0, help="of the folds of cross-validation")
    add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print all as JSON")
    p.set_defaults(run=run)


def _add_features_of(p: ArgumentParser, *, picture: bool = False) -> None:
    """Add MODEL, the picture to compare with if one is needed, and FOLDER."""
    add_model(p, f"{MODEL}; or a network whose weights are installed, such as efficientnet-lite0")
    if picture:
        p.add_argument("picture", help="a picture")
    p.add_argument(
        "folder",
        help="a folder of pictures, with or without a folder for each class, or another source of "
        "pictures",
    )

"""``neocog embed``, ``neocog similar`` and ``neocog suggest``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neocog.cli.evaluate import open_model
from neocog.cli.loading import say_not_kept
from neocog.cli.paths import out_path, page_path
from neocog.cli.terminal import counted, loading_progress, say, say_compiling
from neocog.curation.embedding import Embedding
from neocog.curation.embedding import embed as embed_pictures
from neocog.curation.feature_files import check_features_file
from neocog.curation.findings import ToLabel, WrongLabel
from neocog.curation.similarity import SimilarPictures
from neocog.curation.similarity import similar as similar_pictures
from neocog.curation.suggesting import suggest as suggest_pictures
from neocog.curation.suggestions import Suggestions
from neocog.engine import announced
from neocog.errors import NeocogError, printable
from neocog.write_errors import why_not_written

__all__ = ["embed", "similar", "suggest"]

# Columns that a picture's name has in a table; a longer one moves what stands beside it.
_NAME = 40


def embed(
    model: str,
    folder: str,
    architecture: str | None,
    out: str,
    overwrite: bool,
    threads: int | None,
    json_: bool,
) -> int:
    """Write the features of pictures; returns 1 if some could not be read."""
    path = out_path(out)
    check_features_file(path, overwrite)  # before any work is done
    network = open_model(model, architecture)
    with announced(say_compiling):
        found = embed_pictures(network, folder, threads=threads, progress=loading_progress())
    code = _say(found)
    found.save(path, overwrite=overwrite)
    n, features = found.features.shape
    if json_:
        about = {
            "file": str(path),
            "pictures": n,
            "features": features,
            "labeled": int((found.labels >= 0).sum()),
            "classes": list(found.classes),
            "computed": found.computed,
            "errors": found.errors(),
        }
        print(json.dumps(about))
    else:
        kept = n - found.computed
        known = f" ({kept:,} of them from the cache)" if kept > 0 else ""
        print(f"Features: {counted(n, 'picture')} × {features:,}{known}: {path}")
    return code


def similar(
    model: str,
    picture: str,
    folder: str,
    architecture: str | None,
    count: int,
    html: str | None,
    threads: int | None,
    json_: bool,
) -> int:
    """Print the pictures that look most like one; returns 1 if some could not be read."""
    path = page_path(html) if html is not None else None
    network = open_model(model, architecture)
    with announced(say_compiling):
        found = similar_pictures(
            network, picture, folder, count=count, threads=threads, progress=loading_progress()
        )
    code = _say(found.embedding)
    if path is not None:
        _write(path, found)
    if json_:
        matches = [
            {"file": one.name, "similarity": one.similarity, "label": one.label}
            for one in found.matches
        ]
        errors = found.embedding.errors()
        print(json.dumps({"picture": picture, "similar": matches, "errors": errors}))
        return code
    rows = [["picture", "similarity", "label"]]
    rows += [[one.name, f"{one.similarity:.3f}", one.label or ""] for one in found.matches]
    if not any(one.label for one in found.matches):
        rows = [row[:-1] for row in rows]
    _print_table(rows, numbers={1})
    if path is not None:
        print(f"\nPage: {path}")
    return code


def suggest(
    model: str,
    folder: str,
    architecture: str | None,
    count: int,
    html: str | None,
    seed: int,
    threads: int | None,
    json_: bool,
) -> int:
    """Print what to label next and what looks wrong; returns 1 if some could not be read."""
    path = page_path(html) if html is not None else None
    network = open_model(model, architecture)
    with announced(say_compiling):
        found = suggest_pictures(
            network,
            folder,
            count=count,
            seed=seed,
            threads=threads,
            progress=loading_progress(),
        )
    code = _say(found.embedding)
    if path is not None:
        _write(path, found)
    if json_:
        print(json.dumps(found.to_dict()))
        return code
    _print_suggestions(found, count)
    if path is not None:
        print(f"\nPage: {path}")
    return code


def _write(path: Path, found: SimilarPictures | Suggestions) -> None:
    try:
        found.save_page(path)
    except OSError as error:
        raise NeocogError(why_not_written(path, error)) from error


def _say(found: Embedding) -> int:
    """Say what was ignored, and which pictures could not be read; returns the exit code."""
    for note in found.notes:
        say(note)
    say_not_kept(found.why_not_kept)
    for one in found.skipped:
        say(f"neocog: {printable(one.name, 300)} {one.reason}")
    return 1 if found.skipped else 0


def _print_suggestions(found: Suggestions, count: int) -> None:
    classes = len(found.embedding.classes)
    of = f" in {classes:,} {'class' if classes == 1 else 'classes'}" if classes else ""
    print(
        f"{printable(found.embedding.source.name, 60)}: {counted(found.labeled, 'labeled picture')}"
        f"{of}, {found.unlabeled:,} without a label"
    )
    for note in found.notes[len(found.embedding.notes) :]:
        print(note)
    if found.accuracy is not None:
        print(
            "Accuracy of a last layer on their features, in cross-validation: "
            f"{100 * found.accuracy:.1f} %"
        )
    if found.checked:
        print(f"\n{counted(len(found.wrong_labels), 'label')} of {found.checked:,} look wrong")
        _print_first(found.wrong_labels, count, ["picture", "label", "", "looks like", ""], _wrong)
    if found.unlabeled:
        whose = "the network" if found.by == "network" else "the last layer"
        chosen = f"{len(found.to_label):,} of {counted(found.unlabeled, 'picture')}"
        print(f"\nLabel next: {chosen}, by the probabilities of {whose}")
        _print_first(found.to_label, count, ["picture", "best guess", "", "entropy"], _unclear)


def _wrong(one: WrongLabel) -> list[str]:
    own, other = _percent(one.label_probability), _percent(one.probability)
    return [one.name, one.label, own, one.suggested, other]


def _unclear(one: ToLabel) -> list[str]:
    label, probability = one.best[0]
    return [one.name, label, _percent(probability), f"{one.entropy:.2f}"]


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"


def _print_first(found: Sequence[Any], count: int, head: list[str], row: Any) -> None:
    if not found:
        return
    cells = [row(one) for one in found[:count]]
    numbers = {n for n, cell in enumerate(cells[0]) if n and cell[0].isdecimal()}
    _print_table([head, *cells], numbers)
    if len(found) > count:
        print(f"and {len(found) - count:,} more (--count N or --json)")


def _print_table(rows: list[list[str]], numbers: set[int]) -> None:
    """Print cells in columns; those of numbers end in one line."""
    rows = [[printable(cell, 300) for cell in row] for row in rows]
    widths = [min(_NAME, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f"{cell:>{width}}" if n in numbers else f"{cell:<{width}}"
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())

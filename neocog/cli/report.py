"""``neocog report``."""

from pathlib import Path
from typing import Any

from neocog.cli.evaluate import EvaluationData, load_usual, open_model, views_of
from neocog.cli.loading import taken_out
from neocog.cli.paths import page_path
from neocog.cli.terminal import say, say_compiling
from neocog.engine import announced
from neocog.errors import NeocogError, printable
from neocog.evaluation import evaluate as evaluate_network
from neocog.network import Network
from neocog.report.run import write_run_report

__all__ = ["report"]


def report(
    folder: str,
    data: str | None,
    out: str | None,
    threads: int | None,
    data_dir: str | None,
    **options: Any,
) -> int:
    """Write the report of a run folder; prints its path."""
    given = taken_out(options)
    path = page_path(out) if out else None
    if not Path(folder).is_dir():
        raise NeocogError(
            f"{printable(folder)} is no run folder. A report is made from a folder that neocog "
            "train has written."
        )
    network = open_model(folder)
    evaluated = _evaluated(folder, network, data, data_dir, given, threads)
    result = None
    if evaluated is not None:
        if network.classes is None:
            network.name_classes(evaluated.data.classes)
        with announced(say_compiling):
            result = evaluate_network(
                network, evaluated.images, tta=views_of(folder, None), threads=threads
            )
    written = write_run_report(
        folder,
        network,
        evaluation=result,
        data=None if evaluated is None else evaluated.images,
        part="test" if evaluated is None else evaluated.part,
        path=path,
        threads=threads,
    )
    print(f"Report: {written}")
    return 0


def _evaluated(
    folder: str,
    network: Network,
    data: str | None,
    data_dir: str | None,
    given: dict[str, Any],
    threads: int | None,
) -> EvaluationData | None:
    """The images to evaluate; None, with a message, if the data of the training are gone."""
    try:
        return load_usual(folder, network, data, data_dir, given, threads)
    except NeocogError as error:
        if data is not None or data_dir is not None or given:
            raise
        say(f"{error} The report is written without an evaluation.")
        return None

"""``neocog train`` in the processes beside rank 0, which print nothing but their own errors."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from neocog.cli.training_setup import Wanted, set_up
from neocog.settings.recipe import Recipe
from neocog.signals import exit_code
from neocog.training.fit import fit
from neocog.training.together import RankZeroFailedError

if TYPE_CHECKING:
    from neocog.torch_engine.processes import Processes

__all__ = ["follow_training", "lead_training", "say_all_is_done"]


def lead_training(processes: "Processes | None", wanted: Wanted) -> None:
    """Tell the others what is trained on what, if there are others.

    Args:
        processes: of which this is rank 0.
        wanted: what the training is set up from, with its final settings.
    """
    if processes is not None:
        processes.tell("train", {"recipe": wanted.recipe.to_dict(), "data": wanted.data_table})


def say_all_is_done(processes: "Processes | None") -> None:
    """Let the others end: a run that was started anew has nothing left to do."""
    if processes is not None:
        processes.tell("done")


def follow_training(processes: "Processes") -> int:
    """Load what rank 0 has loaded, and train together with it; gives the exit code."""
    try:
        message = processes.hear()
        if message.word == "done":
            return 0
        options = dict(message.about["data"])
        source, data_dir = options.pop("source"), options.pop("data_dir", None)
        recipe = Recipe.from_dict(message.about["recipe"], "Rank 0's settings")
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            setup = set_up(Wanted(recipe, source, options, data_dir))
        fit(setup.network, setup.data.train, setup.recipe)
    except KeyboardInterrupt as error:
        return exit_code(error)
    except RankZeroFailedError:
        return 1
    return 0

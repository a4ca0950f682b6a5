"""What a run does that torchrun has started anew, after one of its processes was lost."""

from pathlib import Path

from neocog.errors import NeocogError
from neocog.launch import Launch
from neocog.run_info import read_info
from neocog.training.run_folder import RunFolder

__all__ = ["check_restartable", "goes_on_in"]


def check_restartable(launch: Launch | None, folder: object) -> None:
    """Raise `NeocogError` where a run that torchrun may start anew would not find its folder."""
    if launch is not None and launch.most_restarts > 0 and folder is None:
        raise NeocogError(
            f"torchrun starts this run anew where a process is lost (--max-restarts "
            f"{launch.most_restarts}), and it then goes on from its folder: name one with --out."
        )


def goes_on_in(launch: Launch | None, folder: Path) -> bool:
    """Whether a run that was started anew goes on in this folder.

    What it left there before it had a checkpoint is taken away; it then begins once more.
    """
    if launch is None or launch.restarts == 0 or not read_info(folder):
        return False
    found = RunFolder.reopen(folder)
    if not found.checkpoints.saved():
        found.take_away()
        return False
    found.release()
    return True

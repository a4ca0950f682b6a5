"""`fit`: trains a network by settings, and keeps the run in a folder where that is asked for."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.errors import NeocogError
from neocog.formats.checkpoint import Checkpoint
from neocog.launch import launch
from neocog.network import Network, check_network
from neocog.settings.override import override
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback, Callbacks
from neocog.training.early_stopping import EarlyStopping
from neocog.training.epochs import train_epochs
from neocog.training.history import History
from neocog.training.kept_run import keeping, reopened, settings_of_run
from neocog.training.live_line import interactive_callback
from neocog.training.restarting import goes_on_in
from neocog.training.run import TrainingRun
from neocog.training.run_folder import RunFolder
from neocog.training.saving import Saving
from neocog.training.together import fit_together, processes_of
from neocog.validation import file_path, instance

__all__ = ["fit"]


def fit(
    network: Network,
    data: Dataset,
    settings: TrainingSettings | None = None,
    *,
    validation: Dataset | None = None,
    sample_weights: Sequence[float] | NDArray[Any] | None = None,
    classes: tuple[str, ...] | None = None,
    callback: Callback | Sequence[Callback] | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: Checkpoint | str | os.PathLike[str] | None = None,
    **changes: Any,
) -> History:
    """Train the network in place by cross-entropy or another loss, and give the losses.

    A network without parameters is initialized first. With the same seed its first weights and
    the order of every epoch are PyTorch's, of `torch.manual_seed(seed)`, the network's modules
    and a `DataLoader` that shuffles. Called again for the same network with the same seed, it goes
    on in the random numbers where it ended, with the next epoch's order, while the momentum and
    the schedule begin anew. With neocog's own engine the result does not depend on `threads`.

    Where there is a GPU and PyTorch, PyTorch computes, else neocog's own engine; ``engine="torch"``
    and ``device="cuda"`` choose, and `History.engine` says what computed, and why. Processes that
    torchrun has started train together; each has the same network and data, and rank 0 alone calls
    back and writes.

    Ctrl+C ends after the current batch: the network then has the weights so far, and
    `History.interrupted` is set. With a folder, SIGTERM and SIGHUP do the same, and then what they
    would have done.

    Args:
        network: one number a class at its end, or one a target.
        data: images of the network's input shape, and their classes, as a `Dataset` or a tuple
            (images, labels). Images that are cropped may have any height and width. For
            ``loss="binary-cross-entropy"``, of several labels an image, and ``loss="mse"`` labels
            are targets: float32 [n, outputs].
        settings: a `TrainingSettings` or a `Recipe`, which say all that there is to set, such as
            ``epochs=5``, ``batch_size=4`` and ``optimizer=SGD(0.001, momentum=0.9)``. Of a run that
            is resumed, they are its own, if None.
        validation: what is evaluated after every epoch, if given.
        sample_weights: a number from 0 for each image; the loss of a batch is the mean with these
            weights, times those of the classes. A batch whose images all have 0 has the loss 0.
        classes: names for the network's outputs, to travel with it.
        callback: told how it goes, and can end it; or several. Without one, a line shows it where
            Python is used interactively, as in a notebook; ``callback=neocog.Callback()`` shows
            nothing.
        folder: where to keep the run as ``neocog train`` does, but for the report: the settings,
            the history, models and checkpoints. It must be new or empty, but for a run that
            torchrun has started anew, which goes on.
        resume: goes on from an earlier run, to what that would have come to, bit for bit: the
            folder of a run, which is kept on, or a checkpoint. Where its newest checkpoint is
            damaged, a warning says so, and the one before is used.
        **changes: settings in the place of those in `settings`, as `neocog.settings.override`
            takes them: ``fit(network, data, epochs=10, optimizer="adamw", lr=0.01)``.

    Raises:
        TrainingDivergedError: the loss, or a weight, became NaN or infinite. The network then has
            the weights of the last finished epoch.
        FormatError: the folder cannot be written to, holds something already, or has no run to go
            on with.
        NeocogError: data, a network or settings that cannot be, or too little memory; a run that is
            finished, or was of other data, another network or other settings; or another process
            is just training in the folder.
    """
    network = check_network(network)
    callbacks_given = callback
    launched = launch()
    processes = processes_of(launched)

    def train(how: TrainingSettings, kept: RunFolder | None, from_: Checkpoint | None) -> History:
        images = validation
        if images is not None:
            images = as_dataset(images, "validation=data.validation")
            images = images if len(images) else None
        callbacks = Callbacks.of(callbacks_given, lambda: interactive_callback(how.epochs))
        if kept is not None:
            callbacks.add(Saving(kept, getattr(how, "tta", None)), first=True)
        callbacks.add(EarlyStopping(how, has_validation=images is not None))
        run = TrainingRun(
            network,
            data,
            how,
            sample_weights=sample_weights,
            on_compile=callbacks.compiling,
            processes=processes,
        )
        if classes is not None:
            network.name_classes(classes)
        if from_ is not None:
            run.load_state(from_)
        return train_epochs(run, images, callbacks)

    def train_here() -> History:
        if resume is not None and not isinstance(resume, Checkpoint):
            if folder is not None:
                raise NeocogError(
                    f"A run that is resumed stays in its folder, {resume}: leave folder "
                    f"(={folder}) out."
                )
            return go_on(Path(file_path("resume", resume)))
        before = settings_of_run(resume) if resume is not None and settings is None else None
        how = _settings(settings, before, changes)
        if folder is None:
            return train(how, None, resume)
        path = Path(file_path("folder", folder))
        if goes_on_in(launched, path):
            return go_on(path)
        with keeping(RunFolder.create(path, path.name, how), network) as kept:
            return kept.done(train(how, kept.folder, resume))

    def go_on(path: Path) -> History:
        with keeping(RunFolder.reopen(path), network) as kept:
            before, checkpoint = reopened(kept.folder)
            return kept.done(train(_settings(settings, before, changes), kept.folder, checkpoint))

    return fit_together(processes, network, data, sample_weights, train_here)


def _settings(
    given: TrainingSettings | None, before: TrainingSettings | None, changes: dict[str, Any]
) -> TrainingSettings:
    base = before if given is None else given
    base = TrainingSettings() if base is None else base
    base = instance("settings", base, TrainingSettings, "a neocog TrainingSettings or Recipe")
    return override(base, **changes)

"""The training loop: epochs of steps, and word of how it goes while they run.

An epoch is one call into compiled code, in threads of its own. This loop watches it: it logs,
validates, and tells the callbacks, which save, stop early and show. It knows nothing of kernels,
files or terminals.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.errors import TrainingDivergedError
from neocog.evaluation import evaluate
from neocog.formats.checkpoint import Checkpoint
from neocog.network import Network, check_network
from neocog.settings.override import override
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback, Callbacks
from neocog.training.divergence import explained
from neocog.training.early_stopping import EarlyStopping
from neocog.training.history import Epoch, History
from neocog.training.live_line import interactive_callback
from neocog.training.log import Log
from neocog.training.run import TrainingRun
from neocog.validation import instance

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
    resume: Checkpoint | None = None,
    **changes: Any,
) -> History:
    """Train the network in place with cross-entropy, and give the losses.

    A network without parameters is initialized first. With the same seed its first weights and
    the order of every epoch are PyTorch's, of `torch.manual_seed(seed)`, the network's modules
    and a `DataLoader` that shuffles. Called again for the same network with the same seed, it goes
    on in the random numbers where it ended, with the next epoch's order, while the momentum and
    the schedule begin anew. The result does not depend on `threads`.

    Ctrl+C ends after the current batch: the network then has the weights so far, and
    `History.interrupted` is set.

    Args:
        network: one number a class at its end.
        data: images of the network's input shape, and their classes, as a `Dataset` or a tuple
            (images, labels). Images that are cropped may have any height and width.
        settings: a `TrainingSettings` or a `Recipe`, which say all that there is to set, such as
            ``epochs=5``, ``batch_size=4`` and ``optimizer=SGD(0.001, momentum=0.9)``.
        validation: what is evaluated after every epoch, if given.
        sample_weights: a number from 0 for each image; the loss of a batch is the mean with these
            weights, times those of the classes. A batch whose images all have 0 has the loss 0.
        classes: names for the network's outputs, to travel with it.
        callback: told how it goes, and can end it; or several. Without one, a line shows it where
            Python is used interactively, as in a notebook; ``callback=neocog.Callback()`` shows
            nothing.
        resume: goes on from the state of an earlier run, to what that would have come to, bit for
            bit.
        **changes: settings in the place of those in `settings`, as `neocog.settings.override`
            takes them: ``fit(network, data, epochs=10, optimizer="adamw", lr=0.01)``.

    Raises:
        TrainingDivergedError: the loss, or a weight, became NaN or infinite. The network then has
            the weights of the last finished epoch.
        NeocogError: data, a network or settings that cannot be, or too little memory.
    """
    network = check_network(network)
    wanted = "a neocog TrainingSettings or Recipe"
    base = instance("settings", settings or TrainingSettings(), TrainingSettings, wanted)
    how = override(base, **changes)
    if validation is not None:
        validation = as_dataset(validation, "validation=data.validation")
        if len(validation) == 0:
            validation = None
    callbacks = Callbacks.of(callback, lambda: interactive_callback(how.epochs))
    callbacks.add(EarlyStopping(how, has_validation=validation is not None))
    run = TrainingRun(
        network, data, how, sample_weights=sample_weights, on_compile=callbacks.compiling
    )
    if classes is not None:
        network.name_classes(classes)
    try:
        if resume is not None:
            run.load_state(instance("resume", resume, Checkpoint, "a checkpoint of a run"))
        callbacks.begin(run)
        run.trainer  # noqa: B018  it is made, and its kernels are compiled
        callbacks.ready(run.history)
        _train(run, validation, callbacks)
    finally:
        callbacks.ended(run.history)
    return run.history


def _train(run: TrainingRun, validation: Dataset | None, callbacks: Callbacks) -> None:
    """Take the run to its end, or to where somebody ends it."""
    history = run.history
    history.interrupted = history.stopped = False
    while not run.is_done:
        if run.epoch_is_done:
            run.next_epoch()
        try:
            _finish_epoch(run, callbacks)
            run.update_network()
        except TrainingDivergedError as error:
            raise explained(error, run) from error
        if run.epoch_is_done:
            history.epochs.append(_epoch(run, validation))
            _tell_epoch(callbacks, history)
        elif history.interrupted:
            callbacks.paused(history)
        if history.interrupted:
            history.interrupted = not run.is_done
            return
        if callbacks.stopped:
            history.stopped = not run.is_done
            return


def _finish_epoch(run: TrainingRun, callbacks: Callbacks) -> None:
    """Run to the end of the epoch, with pauses where a callback asks for them."""
    log = Log(run, callbacks)
    while True:
        try:
            run.step(callbacks.steps_to_pause(run.steps), log.look)
            log.look(run.batch)
        except TrainingDivergedError:
            log.look(run.batch)  # the losses before the one that is not finite
            raise
        except KeyboardInterrupt:  # while a callback was told
            run.interrupted = True
        run.history.interrupted = run.interrupted
        if run.interrupted or run.epoch_is_done:
            return
        callbacks.paused(run.history)


def _epoch(run: TrainingRun, validation: Dataset | None) -> Epoch:
    """What there is to say of the epoch that has just ended."""
    history = run.history
    seconds = history.seconds - sum(epoch.seconds for epoch in history.epochs)
    result = None
    if validation is not None:
        result = evaluate(run.network, validation, threads=run.settings.threads)
    return Epoch(
        run.epoch,
        float(run.losses.mean()),
        seconds,
        run.lr,
        result.loss if result else None,
        result.accuracy if result else None,
    )


def _tell_epoch(callbacks: Callbacks, history: History) -> None:
    try:
        callbacks.epoch_done(history.epochs[-1], history)
    except KeyboardInterrupt:
        history.interrupted = True

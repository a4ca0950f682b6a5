"""The training loop: epochs of steps, and word of how it goes while they run.

An epoch is one call into compiled code, in threads of its own. This loop watches it: it logs,
validates, and tells the callbacks, which save, stop early and show. It knows nothing of kernels,
files or terminals.
"""

from neocog.data.images import Dataset
from neocog.errors import TrainingDivergedError
from neocog.evaluation import NumbersEvaluation, evaluate
from neocog.signals import deferred_signals
from neocog.target_scale import TargetScale
from neocog.training.callback import Callbacks
from neocog.training.divergence import explained
from neocog.training.history import Epoch, History
from neocog.training.log import Log
from neocog.training.run import TrainingRun

__all__ = ["train_epochs"]


def train_epochs(run: TrainingRun, validation: Dataset | None, callbacks: Callbacks) -> History:
    """Take a run to its end, or to where somebody ends it.

    Ctrl+C and signals end it after the current batch, also while it validates: the callbacks'
    `paused` is then called with the run as it stands, from where it can be continued.
    """
    try:
        callbacks.begin(run)
        run.trainer  # noqa: B018  it is made, and its kernels are compiled
        if run.epoch_is_recorded:  # it was continued there
            run.update_network()
        callbacks.ready(run.history)
        _train(run, validation, callbacks)
    finally:
        callbacks.ended(run.history)
    return run.history


def _train(run: TrainingRun, validation: Dataset | None, callbacks: Callbacks) -> None:
    history = run.history
    history.interrupted = history.stopped = False
    try:
        _epochs(run, validation, callbacks)
    except KeyboardInterrupt:
        history.interrupted = True
    if history.interrupted:
        with deferred_signals():
            if run.is_compiled:
                run.update_network()
            callbacks.paused(history)
        history.interrupted = not (run.is_done and run.epoch_is_recorded)


def _epochs(run: TrainingRun, validation: Dataset | None, callbacks: Callbacks) -> None:
    """Train one epoch after another. Each part can be begun again where it was interrupted."""
    history = run.history
    while not history.interrupted:
        if run.epoch_is_recorded:
            history.stopped = callbacks.stopped and not run.is_done
            if run.is_done or history.stopped:
                return
            run.next_epoch()
        try:
            history.interrupted = _take_steps(run, callbacks)
            if history.interrupted and not (run.epoch_is_done and validation is None):
                return
            run.update_network()
        except TrainingDivergedError as error:
            raise explained(error, run) from error
        epoch = _evaluated(run, validation)
        history.epochs.append(epoch)
        callbacks.epoch_done(epoch, history)


def _take_steps(run: TrainingRun, callbacks: Callbacks) -> bool:
    """Run to the end of the epoch, with pauses where a callback asks; gives if it was cut off."""
    log = Log(run, callbacks)
    try:
        _run_epoch(run, callbacks, log)
    except KeyboardInterrupt:
        log.look(run.batch)  # what it was told of when the signal came
        return True
    return run.interrupted


def _run_epoch(run: TrainingRun, callbacks: Callbacks, log: Log) -> None:
    log.look(run.batch)
    while not run.epoch_is_done:
        try:
            run.step(callbacks.steps_to_pause(run.steps), log.look)
        except TrainingDivergedError:
            log.look(run.batch)
            raise
        log.look(run.batch)
        if run.interrupted:
            return
        if not run.epoch_is_done:
            callbacks.paused(run.history)


def _evaluated(run: TrainingRun, validation: Dataset | None) -> Epoch:
    """What there is to say of the epoch that has just ended."""
    history = run.history
    seconds = history.seconds - sum(epoch.seconds for epoch in history.epochs)
    loss = accuracy = None
    if validation is not None:
        network = run.network.copy()
        network.use_engine(run.engine)
        result = evaluate(network, validation, threads=run.settings.threads)
        loss, accuracy = result.loss, result.accuracy
        if isinstance(run.scale, TargetScale) and isinstance(result, NumbersEvaluation):
            # In the units of the training's loss, beside which it is shown.
            loss = run.scale.squared_error(result.outputs, result.targets)
    return Epoch(run.epoch, float(run.losses.mean()), seconds, run.lr, loss, accuracy)

"""What is explored: a network, a picture, and training that can be stopped after any step.

It is for one thread only; `Session` lets many threads ask.
"""

import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data, Dataset
from neocog.engine import useful_threads
from neocog.errors import NeocogError, TrainingDivergedError
from neocog.explanation.page.message import Block, message, to_json
from neocog.http.refusal import RefusedError
from neocog.network import Network
from neocog.training.run_stream import initialize_for_training
from neocog.validation import shown
from neocog.web.about import about, largest_batch
from neocog.web.batch import batch_images, gradients_of
from neocog.web.events import Events
from neocog.web.kernel import kernel_map
from neocog.web.live_explanation import LiveExplanation
from neocog.web.model_file import model_file
from neocog.web.picture import Picture
from neocog.web.status import Status
from neocog.web.training import Training
from neocog.web.training_pace import TrainingPace, first_images
from neocog.web.undo import Change, Saved, UndoHistory

__all__ = ["Explorer"]

# Changed weights that can be taken back.
_MOST_CHANGES = 1000


class Explorer:
    """Everything that a page shows, and everything that it can ask for.

    Args:
        network: to explore; if it has no parameters yet, they are drawn with `seed`.
        data: to choose pictures from and to train on, of the network's input shape; None if there
            are none.
        name: the network's name.
        events: told of the new state after each change.
        pictures: to show what activates the filters; None for those of the data.
        threads: worker threads, at most one a core; None for as many as are available.
        seed: of the first parameters and of the order of the images.
        away: seconds without a listener after which training pauses.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        network: Network,
        data: Data | None,
        name: str,
        events: Events,
        *,
        pictures: Dataset | None = None,
        threads: int | None = None,
        seed: int = 0,
        away: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.data = data
        self.name = name
        #: Tells this explorer from another one that has the same address later.
        self.instance = secrets.token_hex(8)
        self._events = events
        self._away = away
        self._clock = clock
        if not network.initialized:
            initialize_for_training(network, seed)
        self._opened = network.state_dict()
        self._version = 0
        self._status = Status(self._changed)
        # How often the parameters were replaced; with the steps since, it tells which there are.
        self._loads = 0
        self._changes: list[Change] = []
        self._undo = UndoHistory()
        self._training: Training | None = None
        self._pace: TrainingPace | None = None
        self._threads = useful_threads(threads)
        part, images = "none", None
        if data is not None:
            self._training = Training(
                network, data.train, seed, self._threads, self._status.compiling
            )
            part, images = data.held_out
            tested = first_images(network, images)
            self._pace = TrainingPace(network, self._training, tested, self._threads, clock)
        self.explanations = LiveExplanation(network, data, pictures)
        self._picture = Picture(network, images, part)
        self._predict()
        self._changed()

    # Telling

    def _changed(self) -> None:
        self._version += 1
        self._events.tell(to_json(self.state()))

    def state(self) -> dict[str, Any]:
        """Everything that can change, as plain data; see `neocog.web`."""
        return {
            "instance": self.instance,
            "version": self._version,
            "picture": self._picture.state(),
            "prediction": {"steps": self._predicted[0], "probabilities": self._predicted[1]},
            "training": self._training_state(),
            "curve": None if self._pace is None else self._pace.curve.head(),
            "changes": len(self._changes),
            "undo": None if self._undo.latest is None else self._undo.latest.state(),
            "activity": self._status.activity,
            "message": self._status.message,
        }

    def _training_state(self) -> dict[str, Any] | None:
        if self._training is None or self._pace is None:
            return None
        return {
            "running": self._pace.is_on,
            "steps": self._training.steps,
            "epoch": self._training.epochs,
            "rate": self._training.rate,
            "momentum": self._training.momentum,
            "batch_size": self._training.batch_size,
            "has_batch": self._training.latest is not None,
        }

    def about(self) -> dict[str, Any]:
        """What does not change, as plain data."""
        return about(self.network, self.data, self.name)

    # Looking

    def show(self, change: Callable[[Picture], None]) -> None:
        """Change the picture or its label."""
        change(self._picture)
        self._predict()
        self._changed()

    def _needed_data(self) -> Data:
        if self.data is None:
            raise RefusedError("There are no data. Start neocog explore with --data.", 409)
        return self.data

    def _predict(self) -> None:
        """Predict the picture with the parameters that the network has."""
        images = self._picture.image[None]
        probabilities = self.network.predict_proba(images, threads=self._threads)[0]
        steps = 0 if self._training is None else self._training.settled
        self._predicted = steps, [float(p) for p in probabilities]

    def explanation(self) -> bytes:
        """The picture's explanation with the current parameters, as a binary message."""
        self._settle()
        steps = 0 if self._training is None else self._training.steps
        training = self._pace is not None and self._pace.is_on
        first = "Preparing the explanation (its kernels are compiled the first time) …"
        with self._status.during(first if self.explanations.is_first else None):
            return self.explanations.of(self._picture, self._loads, steps, training)

    def batch(self) -> bytes:
        """The images and gradients of the latest step, as a binary message."""
        data, (training, _) = self._needed_data(), self._trained()
        if training.latest is None:
            raise RefusedError("There is no batch yet: take a step first.", 409)
        images, block = training.latest, Block()
        structure = {
            "steps": training.steps,
            "indices": images.tolist(),
            "labels": data.train.labels[images].tolist(),
            "loss": training.latest_loss,
            "images": batch_images(data.train.images[images]),
            "gradients": gradients_of(training.gradients(), block),
        }
        return message(structure, block.bytes())

    def kernel(self, kernel: NDArray[np.float64], bias: float) -> bytes:
        """The map that a kernel, drawn on the page, gives for the picture, as a binary message."""
        block = Block()
        place = block.add(kernel_map(self.network, self._picture.image, kernel, bias))
        structure = {"map": place, "picture": self._picture.number, "by": "neocog.reference"}
        return message(structure, block.bytes())

    def curve(self) -> dict[str, Any]:
        """All points of the training curve, as plain data."""
        return self._trained()[1].curve.to_dict()

    def model(self) -> tuple[str, bytes]:
        """A file name, and the network with its current parameters as ``.safetensors``."""
        self._settle()
        steps = 0 if self._training is None else self._training.steps
        return model_file(self.network, self.data, self.name, steps)

    # Weights

    def change_weight(self, name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
        """Set one number of a parameter; returns the old one and both predictions."""
        shape = self.network.parameter_shapes.get(name)
        if shape is None:
            known = ", ".join(self.network.parameter_shapes)
            raise RefusedError(f"There is no parameter {shown(name)}. Known: {known}.")
        inside = len(index) == len(shape) and all(
            0 <= i < n for i, n in zip(index, shape, strict=True)
        )
        if not inside:
            raise RefusedError(f"index (={list(index)}) must be a place in {name}, {list(shape)}.")
        self._settle()
        found = self._put(name, index, np.float32(value))
        self._changes = [*self._changes, (name, index, np.float32(found["old"]))][-_MOST_CHANGES:]
        self._changed()
        return found

    def take_back(self) -> dict[str, Any]:
        """Undo the latest change of a weight."""
        if not self._changes:
            raise RefusedError("There is no changed weight to undo.", 409)
        self._settle()
        found = self._put(*self._changes.pop())
        self._changed()
        return found

    def _put(self, name: str, index: tuple[int, ...], value: np.float32) -> dict[str, Any]:
        """Write one number; returns the old one, and the predictions before and after."""
        self._predict()
        before, state = self._predicted[1], self.network.state_dict()
        old = float(state[name][index])
        state[name][index] = value
        self._load(state)
        return {
            "name": name,
            "index": list(index),
            "old": old,
            "value": float(value),
            "before": before,
            "after": self._predicted[1],
        }

    def _load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Load these parameters into the network and the training."""
        self.network.load_state_dict(state)
        self._loads += 1
        if self._training is not None:
            self._training.take_network()
        self._predict()

    # Training

    def _trained(self) -> tuple[Training, TrainingPace]:
        if self._training is None or self._pace is None:
            raise RefusedError(
                "There are no data to train on. Start neocog explore with --data.", 409
            )
        return self._training, self._pace

    def set_training(
        self, rate: float | None, momentum: float | None, batch_size: int | None
    ) -> None:
        """Change the settings that are not None, from the next step on."""
        training, _ = self._trained()
        if batch_size is not None:
            most = largest_batch(self._needed_data())
            if not 1 <= batch_size <= most:
                raise RefusedError(f"batch_size (={batch_size}) must be from 1 to {most}.")
            if self._settle():
                training.batch_size = batch_size
        training.rate = training.rate if rate is None else rate
        training.momentum = training.momentum if momentum is None else momentum
        self._changed()

    def start(self) -> None:
        """Train until `pause`, or until no page listens any more."""
        _, pace = self._trained()
        self._status.clear()
        self._changes = []
        pace.start()
        self._changed()

    def pause(self) -> None:
        """Pause training."""
        self._trained()
        self._stop()
        self._changed()

    def step(self) -> dict[str, Any]:
        """Pause training, and take one step; returns its loss."""
        _, pace = self._trained()
        self._status.clear()
        self._changes = []
        self._stop()
        try:
            with self._status.during():
                loss = pace.step()
        except TrainingDivergedError as error:
            self._fail(error)
            raise RefusedError(str(error), 409) from None
        self._predict()
        self._changed()
        return {"loss": loss}

    def reset(self, seed: int | None) -> None:
        """Start over with parameters drawn with a seed, or with None the first ones."""
        self._undo.put(self._to_save())
        if seed is None:
            self.network.load_state_dict(self._opened)
        else:
            initialize_for_training(self.network, seed)
        if self._training is not None and self._pace is not None:
            self._training.restart(seed or 0, new=seed is not None)
            self._pace.restart()
        self._status.clear()
        self._changes = []
        self._load(self.network.state_dict())
        self._changed()

    def undo_reset(self) -> None:
        """Return to the state before the latest reset; the current state is kept for later."""
        if self._undo.latest is None:
            raise RefusedError(
                "There is no reset to undo: none has taken away training steps or changed weights.",
                409,
            )
        saved = self._undo.swap(self._to_save())
        if self._training is not None and self._pace is not None and saved.training is not None:
            self._training.resume(saved.training)
            self._pace.restart(saved.points)
        self._status.clear()
        self._changes = list(saved.changes)
        self._load(saved.parameters)
        self._changed()

    def _to_save(self) -> Saved:
        """Everything that a reset takes away."""
        self._settle()
        points = () if self._pace is None else tuple(self._pace.curve.points)
        training = None if self._training is None else self._training.snapshot()
        parameters = self.network.state_dict() if training is None else training.parameters
        return Saved(parameters, training, points, tuple(self._changes))

    def work(self) -> bool:
        """Train for one tick if training runs; returns whether it still runs."""
        pace = self._pace
        if pace is None or not pace.is_on:
            return False
        try:
            if self._is_alone(pace):
                self._stop()
                self._status.say("note", "Training was paused because no page was open any more.")
                self._changed()
            else:
                self._changes = []
                with self._status.during():
                    news = pace.tick()
                if news:
                    self._predict()
                    self._changed()
        except Exception as error:
            if not isinstance(error, NeocogError):
                traceback.print_exc()
            self._fail(error)
        return pace.is_on

    def _is_alone(self, pace: TrainingPace) -> bool:
        since = self._events.alone_since()
        return since is not None and self._clock() - max(since, pace.since) > self._away

    def _stop(self) -> None:
        """Stop training, and give the network what was learned."""
        if self._pace is not None and self._settle():
            self._pace.stop()
            self._predict()

    def _settle(self) -> bool:
        """Give the network what was learned; False if that failed."""
        try:
            if self._training is not None:
                self._training.settle()
        except TrainingDivergedError as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: Exception) -> None:
        """Stop training because of an error; the network keeps its last finite parameters."""
        if self._pace is not None:
            self._pace.give_up()
        text = str(error)
        if not isinstance(error, NeocogError):
            text = f"Training stopped: {type(error).__name__}: {error}"
        self._status.say("error", text)
        self._predict()
        self._changed()

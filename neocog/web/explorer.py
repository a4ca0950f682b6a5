"""What is explored: a network, a picture, and training that can be stopped at any step.

For one thread alone; `Session` lets many ask.
"""

import secrets
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data
from neocog.data.images import mixed
from neocog.engine import useful_threads
from neocog.errors import NeocogError, TrainingDivergedError
from neocog.explanation.explanation import explain
from neocog.explanation.message import Block, message, to_json
from neocog.explanation.payload import pack
from neocog.explanation.top_activations import top_activation_sprites
from neocog.network import Network
from neocog.network_files import save_model
from neocog.trained_on import training_notes
from neocog.training.run import initialize_for_training
from neocog.validation import shown
from neocog.web.about import about, largest_batch
from neocog.web.batch import batch_images, gradients_of
from neocog.web.events import Events
from neocog.web.kernel import kernel_map
from neocog.web.picture import Picture
from neocog.web.refusal import RefusedError
from neocog.web.training import Training
from neocog.web.training_pace import TrainingPace, first_images
from neocog.web.undo import Change, Saved, UndoHistory

__all__ = ["Explorer"]

# Images that filters are shown with.
_SAMPLE = 2000
# Changed weights that can be taken back.
_MOST_CHANGES = 1000


class Explorer:
    """All that a page shows, and all that it can ask for.

    Args:
        network: its parameters, if it has none yet, come from `seed`.
        data: to choose pictures from and to train on, of the network's shape; None if there are
            none.
        name: of the network.
        events: told after each change.
        threads: workers, at most one a core; as many as are available, if None.
        seed: of first parameters and the order of images.
        away: seconds without a listener after which training pauses.
        clock: gives seconds.
    """

    def __init__(
        self,
        network: Network,
        data: Data | None,
        name: str,
        events: Events,
        *,
        threads: int | None = None,
        seed: int = 0,
        away: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.data = data
        self.name = name
        #: Tells this explorer from one that has its address later.
        self.instance = secrets.token_hex(8)
        self._events = events
        self._away = away
        self._clock = clock
        if not network.initialized:
            initialize_for_training(network, seed)
        self._opened = network.state_dict()
        self._version = 0
        self._activity: str | None = None
        self._message: dict[str, Any] | None = None
        self._messages = 0
        # What an explanation is of; with the steps, which parameters those are.
        self._loads = 0
        self._explained: tuple[tuple[int, ...], bytes] | None = None
        # The channels that are shown of a picture, by its number.
        self._shown: tuple[int, Mapping[str, list[int]]] = -1, {}
        self._changes: list[Change] = []
        self._undo = UndoHistory()
        self._training: Training | None = None
        self._pace: TrainingPace | None = None
        self._threads = useful_threads(threads)
        if data is not None:
            self._training = Training(network, data.train, seed, self._threads, self._compiling)
            test = first_images(network, data.held_out[1])
            self._pace = TrainingPace(network, self._training, test, self._threads, clock)
        self._sample = None if data is None else mixed(data.train, _SAMPLE)
        self._picture = Picture(network, None if data is None else data.held_out[1])
        self._predict()
        self._changed()

    # What is told

    def _changed(self) -> None:
        self._version += 1
        self._events.tell(to_json(self.state()))

    def state(self) -> dict[str, Any]:
        """All that can change, as plain data; see `neocog.web`."""
        return {
            "instance": self.instance,
            "version": self._version,
            "picture": self._picture.state(),
            "prediction": {"steps": self._predicted[0], "probabilities": self._predicted[1]},
            "training": self._training_state(),
            "curve": None if self._pace is None else self._pace.curve.head(),
            "changes": len(self._changes),
            "undo": None if self._undo.latest is None else self._undo.latest.state(),
            "activity": self._activity,
            "message": self._message,
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

    def _say(self, kind: str, text: str) -> None:
        self._messages += 1
        self._message = {"number": self._messages, "kind": kind, "text": text}

    def _compiling(self, kernels: int) -> None:
        what = "1 kernel" if kernels == 1 else f"{kernels} kernels"
        self._activity = f"Compiling {what} for this network (first time only) …"
        self._changed()

    @contextmanager
    def _active(self, activity: str | None = None) -> Iterator[None]:
        """Say what goes on; when it is over, that nothing does."""
        if activity is not None:
            self._activity = activity
            self._changed()
        try:
            yield
        finally:
            if self._activity is not None:
                self._activity = None
                self._changed()

    # Looking

    def show(self, change: Callable[[Picture], None]) -> None:
        """Look at another picture, or say that it shows something else."""
        change(self._picture)
        self._predict()
        self._changed()

    def _needed_data(self) -> Data:
        if self.data is None:
            raise RefusedError("There are no data here: start it with --data.", 409)
        return self.data

    def _predict(self) -> None:
        """What the network, as it was settled last, says of the picture."""
        found = self.network.predict_proba(self._picture.image[None], threads=self._threads)[0]
        steps = 0 if self._training is None else self._training.settled
        self._predicted = steps, [float(p) for p in found]

    def explanation(self) -> bytes:
        """The picture's explanation with the parameters of now, as a binary message."""
        self._settle()
        steps = 0 if self._training is None else self._training.steps
        training = self._pace is not None and self._pace.is_on
        key = self._loads, steps, self._picture.number, training
        if self._explained is None or self._explained[0] != key:
            first = "Preparing the explanation (its kernels are compiled the first time) …"
            with self._active(first if self._explained is None else None):
                found = explain(self.network, self._picture.image, self._picture.label)
                # What takes predictions of many images waits until training does.
                data = None if training else self._sample
                # Channels that are looked at do not go away when others come to matter more.
                number, shown = self._shown
                shown = shown if number == self._picture.number else {}
                top_activations = (
                    {} if data is None else top_activation_sprites(found, data, shown=shown)
                )
                packed = pack(
                    found, attributions=not training, filters=top_activations, shown=shown
                )
            of_layers = {each["name"]: each["shown"] for each in packed.structure["layers"]}
            self._shown = self._picture.number, of_layers
            live = {"steps": steps, "picture": self._picture.number}
            self._explained = key, message({**packed.structure, "live": live}, packed.block)
        return self._explained[1]

    def batch(self) -> bytes:
        """The images and gradients of the latest step, as a binary message."""
        data, (training, _) = self._needed_data(), self._trained()
        if training.latest is None:
            raise RefusedError("There is no batch to look at: take a step first.", 409)
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
        """The map that a drawn kernel makes of the picture, as a binary message."""
        block = Block()
        place = block.add(kernel_map(self.network, self._picture.image, kernel, bias))
        structure = {"map": place, "picture": self._picture.number, "by": "neocog.reference"}
        return message(structure, block.bytes())

    def curve(self) -> dict[str, Any]:
        """All points so far, as plain data."""
        return self._trained()[1].curve.to_dict()

    def model(self) -> tuple[str, bytes]:
        """A name for it, and a ``.safetensors`` of the network with the parameters of now."""
        self._settle()
        steps = 0 if self._training is None else self._training.steps
        training = {**training_notes(self.data), "steps": steps} if self.data else {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            save_model(self.network, path, training=training)
            content = path.read_bytes()
        name = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.name)
        return f"{name}-{steps}-steps.safetensors", content

    # Weights

    def change_weight(self, name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
        """Set one number of a parameter; gives what was there and what it does."""
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
        """Give the weight that was changed last its number from before."""
        if not self._changes:
            raise RefusedError("There is no changed weight to take back.", 409)
        self._settle()
        found = self._put(*self._changes.pop())
        self._changed()
        return found

    def _put(self, name: str, index: tuple[int, ...], value: np.float32) -> dict[str, Any]:
        """Write one number; gives what was there, and the predictions before and after."""
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
        """Give network and training these parameters."""
        self.network.load_state_dict(state)
        self._loads += 1
        if self._training is not None:
            self._training.take_network()
        self._predict()

    # Training

    def _trained(self) -> tuple[Training, TrainingPace]:
        if self._training is None or self._pace is None:
            raise RefusedError("There are no data to train on: start it with --data.", 409)
        return self._training, self._pace

    def set_training(
        self, rate: float | None, momentum: float | None, batch_size: int | None
    ) -> None:
        """Change what is not None, from the next step on."""
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
        self._message = None
        self._changes = []
        pace.start()
        self._changed()

    def pause(self) -> None:
        """Stop after the step that is done."""
        self._trained()
        self._stop()
        self._changed()

    def step(self) -> dict[str, Any]:
        """Pause, and take one step; gives its loss."""
        _, pace = self._trained()
        self._message = None
        self._changes = []
        self._stop()
        try:
            with self._active():
                loss = pace.step()
        except TrainingDivergedError as error:
            self._fail(error)
            raise RefusedError(str(error), 409) from None
        self._predict()
        self._changed()
        return {"loss": loss}

    def reset(self, seed: int | None) -> None:
        """Begin anew with parameters of a seed, or for None with those there were at first."""
        self._undo.put(self._to_save())
        if seed is None:
            self.network.load_state_dict(self._opened)
        else:
            initialize_for_training(self.network, seed)
        if self._training is not None and self._pace is not None:
            self._training.restart(seed or 0)
            self._pace.restart()
        self._message = None
        self._changes = []
        self._load(self.network.state_dict())
        self._changed()

    def undo_reset(self) -> None:
        """Go on from where the latest reset began; what there was since is kept in its turn."""
        if self._undo.latest is None:
            raise RefusedError("There was no reset of a trained or changed network to undo.", 409)
        saved = self._undo.swap(self._to_save())
        if self._training is not None and self._pace is not None and saved.training is not None:
            self._training.resume(saved.training)
            self._pace.restart(saved.points)
        self._message = None
        self._changes = list(saved.changes)
        self._load(saved.parameters)
        self._changed()

    def _to_save(self) -> Saved:
        """All that a reset takes away."""
        self._settle()
        points = () if self._pace is None else tuple(self._pace.curve.points)
        training = None if self._training is None else self._training.snapshot()
        parameters = self.network.state_dict() if training is None else training.parameters
        return Saved(parameters, training, points, tuple(self._changes))

    def work(self) -> bool:
        """Train for a moment, if training runs; gives whether it still does."""
        pace = self._pace
        if pace is None or not pace.is_on:
            return False
        try:
            if self._is_alone(pace):
                self._stop()
                self._say("note", "Training was paused, as no page listened any more.")
                self._changed()
            else:
                self._changes = []
                with self._active():
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
        """Stop training, and let the network have what it learned."""
        if self._pace is not None and self._settle():
            self._pace.stop()
            self._predict()

    def _settle(self) -> bool:
        """Let the network have what was learned; False if that is of no use."""
        try:
            if self._training is not None:
                self._training.settle()
        except TrainingDivergedError as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: Exception) -> None:
        """Stop training because of an error; the network has the parameters from before."""
        if self._pace is not None:
            self._pace.give_up()
        text = str(error)
        if not isinstance(error, NeocogError):
            text = f"Training stopped: {type(error).__name__}: {error}"
        self._say("error", text)
        self._predict()
        self._changed()

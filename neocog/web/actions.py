"""What POST does at each path of the API; `neocog.web` describes them."""

from collections.abc import Callable, Mapping
from typing import Any

from neocog.http.refusal import RefusedError
from neocog.web import fields
from neocog.web.about import MOST_BATCH, MOST_RATE, MOST_WEIGHT
from neocog.web.explorer import Explorer
from neocog.web.kernel import LARGEST

__all__ = ["ACTIONS"]

# The most numbers of a drawn kernel, for more channels than any picture has.
_MOST_NUMBERS = 16 * LARGEST * LARGEST

Body = Mapping[str, Any]


def _picture(body: Body) -> Callable[[Explorer], None]:
    fields.only(body, "index", "move")
    if len(body) != 1:
        raise RefusedError("Give either index or move.")
    if "index" in body:
        index = fields.whole(body, "index", 0, 2**31)
        return lambda explorer: explorer.show(lambda picture: picture.choose(index))
    where = fields.text(body, "move", "next", "previous", "random")
    return lambda explorer: explorer.show(lambda picture: picture.move(where))


def _label(body: Body) -> Callable[[Explorer], None]:
    fields.only(body, "label")
    if "label" not in body:
        raise RefusedError(
            "Give a label: a class's name or number, or null for the most probable class."
        )
    return lambda explorer: explorer.show(lambda picture: picture.set_label(body["label"]))


def _settings(body: Body) -> Callable[[Explorer], None]:
    fields.only(body, "rate", "momentum", "batch_size")
    rate = fields.number(body, "rate", 0, MOST_RATE) if "rate" in body else None
    momentum = fields.number(body, "momentum", 0, 1, below=True) if "momentum" in body else None
    batch = fields.whole(body, "batch_size", 1, MOST_BATCH) if "batch_size" in body else None
    return lambda explorer: explorer.set_training(rate, momentum, batch)


def _reset(body: Body) -> Callable[[Explorer], None]:
    fields.only(body, "seed")
    seed = None if body.get("seed") is None else fields.whole(body, "seed", 0, 2**63 - 1)
    return lambda explorer: explorer.reset(seed)


def _kernel(body: Body) -> Callable[[Explorer], bytes]:
    fields.only(body, "kernel", "bias")
    kernel = fields.listed(body, "kernel", _MOST_NUMBERS)
    bias = fields.number(body, "bias", -MOST_WEIGHT, MOST_WEIGHT) if "bias" in body else 0.0
    return lambda explorer: explorer.kernel(kernel, bias)


def _weight(body: Body) -> Callable[[Explorer], dict[str, Any]]:
    fields.only(body, "name", "index", "value")
    name, index = body.get("name"), body.get("index")
    if not isinstance(name, str):
        raise RefusedError(
            f"name (={fields.told(name)}) must be a parameter's, such as conv1.weight."
        )
    if not isinstance(index, list) or not all(type(i) is int for i in index):
        raise RefusedError(f"index (={fields.told(index)}) must be a list of whole numbers.")
    value = fields.number(body, "value", -MOST_WEIGHT, MOST_WEIGHT)
    return lambda explorer: explorer.change_weight(name, tuple(index), value)


def _plain(do: Callable[[Explorer], Any]) -> Callable[[Body], Callable[[Explorer], Any]]:
    """An action without fields."""

    def action(body: Body) -> Callable[[Explorer], Any]:
        fields.only(body)
        return do

    return action


#: By path: a function of the request's fields that returns a function of the
#: explorer. That returns None, plain data for the ``result``, or a binary message.
ACTIONS: dict[str, Callable[[Body], Callable[[Explorer], Any]]] = {
    "/api/picture": _picture,
    "/api/label": _label,
    "/api/training": _settings,
    "/api/training/start": _plain(Explorer.start),
    "/api/training/pause": _plain(Explorer.pause),
    "/api/training/step": _plain(Explorer.step),
    "/api/training/reset": _reset,
    "/api/training/undo": _plain(Explorer.undo_reset),
    "/api/kernel": _kernel,
    "/api/weight": _weight,
    "/api/weight/back": _plain(Explorer.take_back),
}

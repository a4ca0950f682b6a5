"""A recipe with some settings of one's own, named as on the command line."""

from dataclasses import fields, replace
from typing import Any

from neocog.errors import NeocogError
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import EMA
from neocog.training.optimizers import OPTIMIZERS, Group, Optimizer
from neocog.training.recipes.recipe import Recipe
from neocog.training.schedules import SCHEDULES
from neocog.validation import as_real, shown

__all__ = ["override"]

_OWN = (
    *("model", "width", "initialization", "normalize", "epochs", "batch_size"),
    *("label_smoothing", "clip_norm", "accumulate", "balance", "tta"),
)
_OF_OPTIMIZER = ("lr", "momentum", "weight_decay", "nesterov")
_OF_AUGMENTATION = (
    *("crop", "rotate", "trivial_augment"),
    *("flip", "translate", "border", "cutout", "jitter", "mixup"),
)
_OTHERS = ("optimizer", "schedule", "ema")


def override(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """The recipe with these settings in the place of its own; None leaves a setting as it is.

    - A setting of the optimizer or of augmentation changes that one alone.
    - `optimizer` and `schedule` are names. One that is not the recipe's comes with its defaults,
      but for the groups of parameters that do not move at all.
    - `lr` moves the rates that groups of parameters have of their own by the same factor.
    - `crop` is the least share of an image's area, or two shares as in `Augmentation`; 0 crops
      nothing.
    - `ema` is a decay, and 0 takes away whatever average there is; `clip_norm` 0 and "none" for
      `flip`, `tta` and `balance` take those away.
    - Another `model` leaves what speaks of the recipe's own model by its layers' names:
      `freeze_after`, groups of parameters, and an initialization beside PyTorch's.

    Raises:
        NeocogError: settings that cannot be, or do not go with each other.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    known = (*_OWN, *_OF_OPTIMIZER, *_OF_AUGMENTATION, *_OTHERS)
    if unknown := [name for name in given if name not in known]:
        raise NeocogError(f"There is no setting {shown(unknown[0])}. Known: {', '.join(known)}.")
    values: dict[str, Any] = {name: given[name] for name in _OWN if name in given}
    for name, nothing in (("clip_norm", 0), ("tta", "none"), ("balance", "none")):
        if values.get(name, "") == nothing:
            values[name] = None
    optimizer = recipe.optimizer
    if given.get("model", recipe.model) != recipe.model:
        values = {"freeze_after": {}, "initialization": "torch", "width": 1.0} | values
        optimizer = _replace(optimizer, {"groups": ()})
    values["optimizer"] = _optimizer(optimizer, given)
    if "schedule" in given:
        values["schedule"] = _schedule(recipe, given["schedule"])
    if "ema" in given:
        values["averaging"] = EMA(given["ema"]) if given["ema"] != 0 else None
    augmentation = {name: given[name] for name in _OF_AUGMENTATION if name in given}
    if augmentation.get("flip") == "none":
        augmentation["flip"] = None
    if as_real(augmentation.get("crop")) is not None:
        augmentation["crop"] = (augmentation["crop"], 1.0) if augmentation["crop"] != 0 else None
    if augmentation:
        values["augmentation"] = replace(recipe.augmentation or Augmentation(), **augmentation)
    return replace(recipe, **values)


def _schedule(recipe: Recipe, name: str) -> Any:
    if not isinstance(name, str) or name not in SCHEDULES:
        raise NeocogError(f"Unknown schedule {shown(name)}. Known: {', '.join(SCHEDULES)}.")
    same = type(recipe.schedule) is SCHEDULES[name]
    return recipe.schedule if same else SCHEDULES[name]()


def _optimizer(optimizer: Optimizer, given: dict[str, Any]) -> Optimizer:
    name = given.get("optimizer")
    changes = {key: given[key] for key in _OF_OPTIMIZER if key in given}
    if name is not None and not (isinstance(name, str) and name in OPTIMIZERS):
        raise NeocogError(f"Unknown optimizer {shown(name)}. Known: {', '.join(OPTIMIZERS)}.")
    kind = type(optimizer) if name is None else OPTIMIZERS[name]
    for key in changes:
        _check_goes(key, kind)
    if kind is not type(optimizer):
        resting = tuple(group for group in optimizer.groups if group.frozen)
        made: Optimizer = kind(**{"groups": resting, **changes})
        return made
    if "lr" in changes and optimizer.groups:
        factor = changes["lr"] / optimizer.lr
        changes["groups"] = tuple(_scaled(group, factor) for group in optimizer.groups)
    return _replace(optimizer, changes)


def _check_goes(setting: str, kind: type[Optimizer]) -> None:
    if setting not in {f.name for f in fields(kind)}:  # type: ignore[arg-type]
        others = [n for n, k in OPTIMIZERS.items() if setting in {f.name for f in fields(k)}]  # type: ignore[arg-type]
        named = next(name for name, other in OPTIMIZERS.items() if other is kind)
        raise NeocogError(
            f"--{setting.replace('_', '-')} goes with --optimizer {' or '.join(others)}, not with "
            f"{named}."
        )


def _scaled(group: Group, factor: float) -> Group:
    # A rate that cannot be is the optimizer's own to refuse.
    return group if group.lr is None or not factor > 0 else replace(group, lr=group.lr * factor)


def _replace(optimizer: Optimizer, changes: dict[str, Any]) -> Optimizer:
    made: Any = replace(optimizer, **changes)  # type: ignore[type-var]
    found: Optimizer = made
    return found

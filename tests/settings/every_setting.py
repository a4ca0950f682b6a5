"""Every class of settings, and strategies that make any of their values."""

from dataclasses import fields
from typing import Any, get_args

from hypothesis import strategies as st

from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import AVERAGES
from neocog.settings.optimizers import OPTIMIZERS, Group, Muon
from neocog.settings.recipe import Recipe
from neocog.settings.schedules import SCHEDULES, Warmup
from neocog.settings.setting import OneOf, items_of, kinds_of, options_of, setting_of
from neocog.settings.training import TrainingSettings

KINDS = (*OPTIMIZERS.values(), *SCHEDULES.values(), *AVERAGES.values())
CLASSES = (TrainingSettings, Recipe, Augmentation, Group, *KINDS)

# Beyond them nothing new happens, and a file of TOML has an end.
_LARGEST = 10**15
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
_PATTERNS = st.from_regex(r"[a-z*?][a-z0-9_.*?]{0,10}", fullmatch=True)

#: What bounds do not say.
_LENGTHS = st.one_of(st.integers(1, 10**12), st.floats(1e-9, 1.0))
_WEIGHTS = st.none() | st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4).map(tuple)
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "epochs": st.one_of(st.integers(1, 1_000_000), st.floats(1e-6, 1e6)),
    "every": _LENGTHS,
    "length": _LENGTHS,
    "class_weights": _WEIGHTS,
    "pos_weight": _WEIGHTS,
    "freeze_after": st.dictionaries(_PATTERNS, st.integers(1, 1_000_000), max_size=3),
    "seed": st.integers(-(2**63), 2**64 - 1),
    "crop": st.none()
    | st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)).map(lambda two: tuple(sorted(two))),
    "match": _PATTERNS,
    "device": st.sampled_from([None, "cpu", "mps", "cuda", "cuda:12"]),
}


def instances(cls: type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any settings of a class that go with each other."""
    values = {one.name: _values(cls, one, depth) for one in fields(cls)}
    return st.fixed_dictionaries({}, optional=values).filter(_together).map(_maker(cls))


def _maker(cls: type) -> Any:
    needed = {"match": "*"} if cls is Group else {}
    return lambda values: cls(**{**needed, **values})


def _together(values: dict[str, Any]) -> bool:
    if values.get("balance") == "weight" and values.get("class_weights") is not None:
        return False
    if values.get("nesterov") and not values.get("momentum", 0.9 if "ns_steps" in values else 0):
        return False
    loss = values.get("loss", "cross-entropy")
    if loss != "cross-entropy" and not _of_any_loss(values):
        return False
    if loss != "binary-cross-entropy" and values.get("pos_weight") is not None:
        return False
    if loss != "mse" and values.get("standardize_targets"):
        return False
    if values.get("engine") == "neocog" and not _of_any_engine(values):
        return False
    nested = (values.get("rest"), Muon), (values.get("then"), Warmup)
    return not any(isinstance(value, kind) for value, kind in nested)


def _of_any_loss(values: dict[str, Any]) -> bool:
    """Whether nothing is set that only some losses have."""
    mixed = getattr(values.get("augmentation"), "mixup", 0)
    by_accuracy = values.get("monitor") == "validation_accuracy"
    of_classes = any(values.get(name) for name in ("label_smoothing", "class_weights", "balance"))
    return not (mixed or by_accuracy or of_classes)


def _of_any_engine(values: dict[str, Any]) -> bool:
    """Whether nothing is set that only PyTorch has."""
    exact = values.get("precision", "float32") == "float32"
    return values.get("device") in (None, "cpu") and exact and not values.get("compile")


def _values(cls: type, one: Any, depth: int) -> st.SearchStrategy[Any]:
    said = setting_of(one)
    kind, optional = options_of(one.type)
    none = st.none() if optional else st.nothing()
    if one.name in _BY_NAME and not (one.name == "every" and kind is int):
        return _BY_NAME[one.name]
    if (item := items_of(kind)) is not None:
        return st.lists(instances(item), max_size=2).map(tuple)
    if isinstance(kind, type) and issubclass(kind, OneOf | Augmentation):
        kinds = [each for each in kinds_of(kind) if depth < 2 or not _holds_parts(each)]
        return none | st.one_of([instances(each, depth + 1) for each in kinds])
    if kind is bool:
        return st.booleans()
    if kind is str:
        return none | (st.sampled_from(said.choices) if said.choices else _TEXTS)
    if kind is int:
        return none | st.integers(int(max(said.low, 0)), int(min(said.high, _LARGEST)))
    if kind is float:
        return none | _floats(said)
    return none | st.tuples(*[_floats(said)] * len(get_args(kind)))


def _holds_parts(kind: type) -> bool:
    return any(one.name in ("then", "rest") for one in fields(kind))


def _floats(said: Any) -> st.SearchStrategy[float]:
    low = max(said.low, said.above, -1e15)
    high = min(said.high, said.below, 1e15)
    return st.floats(low, high, exclude_min=said.above == low, exclude_max=said.below == high)

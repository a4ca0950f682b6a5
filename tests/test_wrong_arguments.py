"""Arguments that cannot be, for every public name: one message that says so, and no other error."""

from functools import partial

import numpy as np
import pytest

import neocog
from neocog import (
    GELU,
    SGD,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    LayerNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    NeocogError,
    Network,
    Preprocessing,
    Recipe,
    ReLU,
    Residual,
    Scale,
    Sequential,
    models,
    schedules,
)
from neocog.data.images import Dataset
from neocog.data.shapes import shapes
from neocog.settings.codec import from_plain
from neocog.settings.optimizers import Optimizer
from neocog.settings.override import override

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)


def network():
    found = models.simple_cnn()
    found.initialize(0)
    return found


NET = network()
DATA = Dataset(IMAGES, np.arange(8))
SMALL = neocog.Data("small", DATA[:1], DATA[:0], tuple("01234567"))

#: Values of kinds that nothing takes.
NOTHING = (
    *("abc", "\0", "x" * 5000, b"x", "\ud800", object(), int, lambda: 1, 1j),
    *(float("nan"), float("inf"), -float("inf"), np.float32("nan"), 10**400, -(2**70)),
    *([[1], [2, 3]], [[[1]]], {3: 4}, {1}, np.zeros((2, 2)), np.array(None), iter([1])),
    *(np.datetime64("2000-01-01"), np.array(["a", "b"]), [None], [float("nan")] * 3),
)
#: Values that some settings take, and others must refuse in a message.
SOMETIMES = (
    *(None, True, False, -1, 0, 1.5, 2**31, 2**70, 1e-320, 1e308),
    *((), [], {}, "", [1], [1, 2], (1, 2, 3), np.array([]), np.array([1, 2]), np.array(3)),
)

#: Calls that succeed; each argument in turn becomes another.
DESCRIPTIONS = {
    "Conv2d": (Conv2d, {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "stride": 1,
                        "padding": 0, "dilation": 1, "groups": 1, "bias": True,
                        "padding_mode": "zeros"}),
    "Linear": (Linear, {"in_features": 3, "out_features": 4, "bias": True}),
    "BatchNorm2d": (BatchNorm2d, {"num_features": 3, "eps": 0.1, "momentum": 0.1, "affine": True}),
    "GroupNorm": (GroupNorm, {"num_groups": 3, "num_channels": 6, "eps": 0.1, "affine": True}),
    "LayerNorm2d": (
        LayerNorm2d,
        {"normalized_shape": 3, "eps": 0.1, "elementwise_affine": True},
    ),
    "MaxPool2d": (MaxPool2d, {"kernel_size": 2, "stride": 2, "padding": 0, "ceil_mode": True}),
    "AvgPool2d": (AvgPool2d, {"kernel_size": 2, "ceil_mode": False, "count_include_pad": True,
                              "divisor_override": 3}),
    "AdaptiveAvgPool2d": (AdaptiveAvgPool2d, {"output_size": 1}),
    "AdaptiveMaxPool2d": (AdaptiveMaxPool2d, {"output_size": 1}),
    "ZeroPad2d": (neocog.ZeroPad2d, {"padding": 1}),
    "ReflectionPad2d": (neocog.ReflectionPad2d, {"padding": (1, 0, 2, 1)}),
    "ReplicationPad2d": (neocog.ReplicationPad2d, {"padding": 1}),
    "CircularPad2d": (neocog.CircularPad2d, {"padding": 1}),
    "Upsample": (neocog.Upsample, {"scale_factor": 2, "mode": "nearest"}),
    "Dropout": (Dropout, {"p": 0.5}),
    "LeakyReLU": (LeakyReLU, {"negative_slope": 0.1}),
    "ELU": (neocog.ELU, {"alpha": 1.0}),
    "PReLU": (neocog.PReLU, {"num_parameters": 1, "init": 0.25}),
    "Softplus": (neocog.Softplus, {"beta": 1.0, "threshold": 20.0}),
    "GELU": (GELU, {"approximate": "none"}),
    "Scale": (Scale, {"factor": 1.0}),
    "Residual": (Residual, {"body": ReLU(), "shortcut": ReLU()}),
    "Sequential": (Sequential, {"one": ReLU()}),
    "Network": (Network, {"input_shape": (3, 8, 8), "classes": None, "preprocessing": None,
                          "flatten": Flatten(), "fc": Linear(192, 3)}),
    "Resize": (neocog.Resize, {"mode": "crop", "interpolation": "box", "keep": 1.0, "fill": 0}),
    "Preprocessing": (Preprocessing, {"mean": (0.5,), "std": (0.5,)}),
    "Group": (neocog.Group, {"match": "a", "lr": 0.1, "weight_decay": 0.1, "frozen": False}),
    "EMA": (neocog.EMA, {"decay": 0.9}),
    "Lookahead": (neocog.Lookahead, {"every": 5, "decay": 0.9, "power": 3.0}),
    **{
        kind.__name__: (kind, dict(vars(kind())))
        for kind in (
            *(SGD, neocog.Adam, neocog.AdamW, neocog.RMSprop, neocog.Adagrad, neocog.Muon),
            *(neocog.Augmentation, schedules.Step, schedules.Cosine, schedules.OneCycle),
            *(schedules.Linear, schedules.Warmup, Recipe),
        )
    },
    "Recipe.load": (Recipe.load, {"name_or_path": "note"}),
    "Recipe.from_dict": (Recipe.from_dict, {"description": {}}),
    "from_plain, optimizers": (partial(from_plain, Optimizer, called="optimizer"),
                               {"description": {"type": "sgd"}}),
    "from_plain, schedules": (partial(from_plain, schedules.Schedule, called="schedule"),
                              {"description": {"type": "step"}}),
    "from_plain, augmentation": (partial(from_plain, neocog.Augmentation, called="augmentation"),
                                 {"description": {}}),
    "override": (partial(override, Recipe()), {
        "ema": 0.9, **{name: getattr(Recipe(), name) for name in Recipe.names()}}),
    "simple_cnn": (models.simple_cnn, {"classes": 3, "width": 1, "input_shape": (3, 8, 8)}),
    "resnet8": (models.resnet8, {"classes": 3, "width": 1, "input_shape": (3, 8, 8)}),
    "make": (models.make, {"name": "lenet5", "classes": 3, "width": 1, "input_shape": None}),
    "Node": (neocog.Node, {"name": "relu", "layer": neocog.ReLU(), "inputs": ("conv",)}),
    "from_nodes": (neocog.Network.from_nodes, {
        "nodes": [neocog.Node("relu", neocog.ReLU())], "input_shape": (3, 8, 8), "classes": None,
        "preprocessing": None}),
    "cost": (neocog.cost, {"network": NET}),
    "name_of": (models.name_of, {"network": NET}),
    "initialize": (network().initialize, {"seed": 0}),
    "load_state_dict": (network().load_state_dict, {"state": NET.state_dict()}),
    "name_classes": (network().name_classes, {"classes": tuple("0123456789")}),
}  # fmt: skip


def assert_taken_or_refused(call, arguments, values):
    for name in arguments:
        for value in values:
            try:
                call(**{**arguments, name: value})
            except NeocogError as error:
                assert "\n" not in str(error), (name, value)
                assert len(str(error)) < 500, (name, value)
            except Exception as error:
                raise AssertionError(f"{name}={value!r:.50} gave {error!r:.200}") from error


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions(name):
    call, arguments = DESCRIPTIONS[name]
    call(**arguments)
    assert_taken_or_refused(call, arguments, (*NOTHING, *SOMETIMES))


FUNCTIONS = {
    "fit": (neocog.fit, {
        "network": NET, "data": DATA, "settings": None, "validation": None, "epochs": 1,
        "batch_size": 4, "optimizer": SGD(), "schedule": schedules.Cosine(), "averaging": None,
        "augmentation": neocog.Augmentation(), "label_smoothing": 0.0,
        "class_weights": None, "pos_weight": None, "sample_weights": None, "balance": None,
        "clip_norm": None, "accumulate": 1, "freeze_after": None, "seed": 0, "threads": 1,
        "log_every": 1,
        "classes": None, "callback": None, "resume": None, "monitor": "loss", "patience": 1}),
    "find_lr": (neocog.find_lr, {
        "network": NET, "data": DATA, "settings": None, "sample_weights": None, "batch_size": 4,
        "optimizer": SGD(), "seed": 0, "threads": 1}),
    "fine_tune": (neocog.fine_tune, {
        "network": NET, "data": Dataset(IMAGES, np.arange(8) % 2), "depth": "head",
        "validation": None, "classes": None, "views": "none", "minutes": 1.0, "settings": None,
        "cache": False, "resume": None, "loss": "cross-entropy", "seed": 0, "threads": 1}),
    "embed": (neocog.embed, {"network": NET, "pictures": DATA, "threads": 1, "cache": False}),
    "Embedding.save": (neocog.embed(NET, DATA, cache=False).save,
                       {"path": "features.npz", "overwrite": True}),
    "similar": (neocog.similar, {
        "network": NET, "picture": IMAGES[0], "pictures": DATA, "count": 3, "threads": 1,
        "cache": False}),
    "suggest": (neocog.suggest, {
        "network": NET, "pictures": Dataset(IMAGES, np.arange(8) % 2), "count": 3, "seed": 0,
        "threads": 1, "cache": False}),
    "evaluate": (neocog.evaluate, {"network": NET, "data": DATA, "tta": None, "threads": 1}),
    "calibrate": (neocog.calibrate, {"network": NET, "data": DATA, "threads": 1}),
    "predict_proba": (neocog.predict_proba,
                      {"network": NET, "images": IMAGES, "tta": None, "threads": 1}),
    "predict": (NET.predict, {"images": IMAGES, "threshold": 0.5, "threads": 1}),
    "explain": (neocog.explain, {"network": NET, "image": IMAGES[0], "label": 1, "lr": 0.1,
                                 "momentum": 0.9, "adaptive_lr": 0.1}),
    "write_report": (neocog.write_report, {
        "path": "report.html", "title": "a run", "network": NET, "data": DATA, "part": "test",
        "evaluation": neocog.evaluate(NET, DATA), "history": neocog.History(epochs=[]),
        "learning_rates": [0.1], "lr_test": [(0.1, 2.0)],
        "settings": {"lr": 0.1}, "defaults": {"lr": 0.2},
        "facts": {"Machine": {"cores": 2}}, "threads": 1}),
    "save": (neocog.save, {"network": NET, "path": "net.pth"}),
    "export": (neocog.export, {
        "network": NET, "path": "exported.pth", "to": "pth", "pictures": True, "softmax": True,
        "int8": False, "data": None, "overwrite": True, "notes": None}),
    "Network.save": (NET.save, {"path": "net.safetensors"}),
    "load": (neocog.load, {"path": "net.safetensors"}),
    "load a .pth": (neocog.load, {"path": "net.pth", "model": NET}),
    "load_data": (neocog.load_data, {"name_or_path": "nowhere", "data_dir": None}),
    "from_arrays": (neocog.Data.from_arrays, {
        "images": IMAGES, "labels": list(range(8)), "classes": None, "test": None,
        "validation": 0.2, "layout": "NHWC", "size": None, "channels": None, "resize": None,
        "split_seed": 0, "on_bad": "error", "threads": 1, "progress": None}),
    "from_files": (neocog.Data.from_files, {
        "files": ["a.png"], "labels": [1], "classes": None, "validation": 0.2}),
    "from_iterable": (neocog.Data.from_iterable, {
        "pairs": [(IMAGES[0], 1)], "classes": None, "validation": 0.2, "layout": "NHWC"}),
    "from_folder": (neocog.Data.from_folder, {"path": ".", "classes": None, "size": None}),
    "from_table": (neocog.Data.from_table, {
        "path": "net.pth", "file_column": None, "label_column": None}),
    "show": (neocog.Data("mine", DATA, DATA[:0], tuple("abcdefgh")).show,
             {"part": "train", "per_class": 2, "path": None}),
    "check_data": (neocog.check_data, {"source": SMALL, "classes": None, "file_column": None,
                                       "label_column": None, "validation": 0.2, "split_seed": 0,
                                       "near": 6, "threads": 1}),
    "shapes": (shapes, {"seed": 0, "train": 1, "test": 0, "threads": 1}),
    "load_pretrained": (neocog.load_pretrained, {
        "source": "net.pth", "classes": 3, "model": "efficientnet-lite0", "input_shape": None,
        "seed": 0}),
    "load_model_file": (models.load_model_file, {"path": "net.py"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NET.save("net.pth")
    NET.save("net.safetensors")
    call, arguments = FUNCTIONS[name]
    # An explanation's image may be a file; that there is none is said with its whole name.
    values = [value for value in NOTHING if name != "explain" or not isinstance(value, str)]
    assert_taken_or_refused(call, arguments, values)


def test_methods_of_an_explanation():
    found = neocog.explain(NET, IMAGES[0], 1)
    values = (*NOTHING, *SOMETIMES)
    assert_taken_or_refused(lambda name: found[name], {"name": "conv1"}, values)
    assert_taken_or_refused(found.filters, {"layer": "conv1"}, values)
    texts = [value for value in values if value is not None]
    assert_taken_or_refused(found.steps["sgd"].figure, {"parameter": "conv1.weight"}, texts)
    assert_taken_or_refused(found.grad_cam, {"layer": "conv1"}, NOTHING)
    assert_taken_or_refused(found.occlusion, {"size": 32, "stride": 32}, NOTHING)
    assert_taken_or_refused(
        found.filters, {"layer": "conv1", "data": IMAGES[:2], "count": 1, "most": 2}, NOTHING
    )

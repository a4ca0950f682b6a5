"""Optimizers as they are described: defaults, rules, groups, plain data, and what they refuse."""

import inspect
import json
import math

import pytest

from neocog.errors import NeocogError
from neocog.kernels.layout import ConvolutionWeight
from neocog.kernels.optimizer.muon import muon_plan, packed_matrix
from neocog.kernels.optimizer.update import Update
from neocog.settings.codec import from_plain, to_plain
from neocog.settings.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Group,
    Muon,
    Optimizer,
    RMSprop,
    Rule,
)

WEIGHT = "conv1.weight", (20, 3, 2, 2)


@pytest.mark.parametrize("make", OPTIMIZERS.values())
def test_names_and_defaults_are_pytorchs(make):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, make.__name__):
        pytest.skip(f"this PyTorch has no {make.__name__}")
    signature = inspect.signature(getattr(torch.optim, make.__name__))
    theirs = {name: p.default for name, p in signature.parameters.items()}
    own = {"groups", "rest", "renormalize"}
    for name, value in vars(make()).items():
        if name not in own:
            expected = "original" if name == "adjust_lr_fn" else theirs[name]
            assert value == expected, name


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        (
            SGD(0.1),
            Rule(
                "sgd",
                (0.1, 0, 0, 0, 0, 0, 0, 0),
                {"momentum": False, "nesterov": False, "decay": False},
            ),
        ),
        (
            SGD(0.1, 0.9, 0.01, nesterov=True),
            Rule(
                "sgd",
                (0.1, 0.01, 0.9, 0, 0, 0, 0, 0),
                {"momentum": True, "nesterov": True, "decay": True},
                (("velocity", 0.0),),
            ),
        ),
        (
            Adam(0.1, (0.8, 0.9), 1e-6, 0.2),
            Rule(
                "adam",
                (0.1, 0.2, 0.8, 0.9, 1e-6, 0, 0, 0),
                {"decay": True, "decoupled": False},
                (("mean", 0.0), ("square", 0.0)),
            ),
        ),
        (
            AdamW(0.1),
            Rule(
                "adam",
                (0.1, 0.01, 0.9, 0.999, 1e-8, 0, 0, 0),
                {"decay": True, "decoupled": True},
                (("mean", 0.0), ("square", 0.0)),
            ),
        ),
        (
            RMSprop(0.1, 0.8, 1e-6, 0.2, 0.7),
            Rule(
                "rmsprop",
                (0.1, 0.2, 0.7, 0.8, 1e-6, 0, 0, 0),
                {"momentum": True, "decay": True},
                (("square", 0.0), ("velocity", 0.0)),
            ),
        ),
        (
            Adagrad(0.1, 0.2, 0.3, 0.4, 1e-6),
            Rule(
                "adagrad",
                (0.1, 0.3, 0.2, 1e-6, 0, 0, 0, 0),
                {"momentum": False, "decay": True},
                (("square", 0.4),),
            ),
        ),
        (
            Muon(0.1, renormalize=True),
            Rule(
                "muon",
                (0.1, 0.1, 0.95, math.sqrt(20 / 12), 1e-7, math.sqrt(20), 0, 0),
                {"nesterov": True, "decay": True, "renormalized": True},
                (("velocity", 0.0),),
                {"iterations": 5, "coefficients": (3.4445, -4.775, 2.0315)},
            ),
        ),
    ],
)
def test_rules(optimizer, rule):
    """The numbers are those that the kernels' docstrings list, in their order."""
    found = optimizer.rule_for(*WEIGHT)
    assert found == rule
    # The flags are those of the stages.
    if rule.kind == "muon":
        s = packed_matrix(ConvolutionWeight(20, 3, 2, 2), **found.flags)
        assert len(muon_plan(s, **found.iteration)) == 2 + 3 * 5 + 1
    else:
        assert Update(48, **found.flags).decay == (rule.settings[1] > 0)


def test_a_schedule_that_moves_the_momentum_needs_its_state():
    for optimizer in (SGD(), RMSprop()):
        rule = optimizer.rule_for(*WEIGHT, moves_momentum=True)
        assert rule.flags["momentum"]
        assert ("velocity", 0.0) in rule.state
    assert Adam().rule_for(*WEIGHT, moves_momentum=True) == Adam().rule_for(*WEIGHT)


def test_the_first_group_that_matches_decides():
    groups = (
        Group("conv1.*", frozen=True),
        Group("*.bias", lr=0.5, weight_decay=0.0),
        Group("fc.*", weight_decay=0.3),
        Group("fc.bias", lr=9.0),
    )
    optimizer = SGD(0.1, weight_decay=0.01, groups=groups)
    assert optimizer.rule_for("conv1.bias", (4,)).kind == "frozen"
    assert optimizer.rule_for("fc.bias", (4,)).settings[:2] == (0.5, 0.0)
    assert not optimizer.rule_for("fc.bias", (4,)).flags["decay"]
    assert optimizer.rule_for("fc.weight", (4, 4)).settings[:2] == (0.1, 0.3)
    assert optimizer.rule_for("Fc.weight", (4, 4)).settings[:2] == (0.1, 0.01)


def test_groups_must_match_something():
    shapes = {"conv1.weight": (4, 3, 3, 3), "conv1.bias": (4,)}
    Muon(groups=(Group("conv1.*"),), rest=SGD(groups=(Group("*.bias"),))).check(shapes)
    for optimizer in (SGD(groups=(Group("fc.*"),)), Muon(rest=SGD(groups=(Group("fc.*"),)))):
        with pytest.raises(NeocogError, match=r"^SGD: no parameter is called 'fc.\*'. There are: "):
            optimizer.check(shapes)
    with pytest.raises(NeocogError, match=r"^Muon: no parameter is called '\*.bias'"):
        Muon(groups=(Group("*.bias"),)).check(shapes)


def test_muon_leaves_the_rest_to_another():
    optimizer = Muon(rest=SGD(0.3, groups=(Group("*.bias", lr=0.7),)))
    assert optimizer.rule_for("fc.weight", (4, 4)).kind == "sgd"
    assert optimizer.rule_for("conv1.bias", (4,)).settings[0] == 0.7
    assert optimizer.rule_for("conv1.bias", (4,), moves_momentum=True).flags["momentum"]
    assert Muon().rule_for("fc.weight", (4, 4)) == AdamW().rule_for("fc.weight", (4, 4))
    frozen = Muon(groups=(Group("conv1.*", frozen=True),))
    assert frozen.rule_for(*WEIGHT).kind == "frozen"


@pytest.mark.parametrize(
    ("adjust", "scale"),
    [
        ("original", math.sqrt(20 / 12)),
        ("match_rms_adamw", 0.2 * math.sqrt(20)),
        ("none", 1.0),
    ],
)
def test_muon_adjusts_its_rate(adjust, scale):
    optimizer = Muon(adjust_lr_fn=adjust)
    assert optimizer.rule_for(*WEIGHT).settings[3] == pytest.approx(scale, rel=1e-15)
    wide = optimizer.rule_for("conv2.weight", (5, 3, 2, 2)).settings[3]
    expected = {"original": 1.0, "match_rms_adamw": 0.2 * math.sqrt(12), "none": 1.0}
    assert wide == pytest.approx(expected[adjust], rel=1e-15)


@pytest.mark.parametrize("make", OPTIMIZERS.values())
def test_plain_data_and_back(make):
    one = make(lr=0.25, groups=(Group("*.bias", lr=0.5), Group("a", frozen=True)))
    assert from_plain(Optimizer, json.loads(json.dumps(to_plain(one))), "optimizer") == one
    name = next(key for key, cls in OPTIMIZERS.items() if cls is make)
    assert from_plain(Optimizer, {"type": name}, "optimizer") == make()


def test_plain_data_of_an_optimizer_within_another():
    one = Muon(0.24, rest=SGD(0.67, 0.85, nesterov=True, groups=(Group("*.bias", 0.053),)))
    description = to_plain(one)
    assert description["rest"]["type"] == "sgd"
    assert description["rest"]["groups"][0]["match"] == "*.bias"
    assert from_plain(Optimizer, json.loads(json.dumps(description)), "optimizer") == one


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"type": "lion"}, "Unknown optimizer 'lion'. Did you mean 'muon'? Known: sgd, "),
        ({"type": "sgd", "rate": 1}, "SGD has no setting 'rate'. Known: lr, momentum, "),
        ({"type": "sgd", "lr": "fast"}, "SGD: lr (='fast') must be a positive number"),
        ({"type": "sgd", "lr": True}, "SGD: lr (=True) must be a positive number"),
        ({"type": "sgd", "weight_decay": -1}, "SGD: weight_decay (=-1) must be a number, at lea"),
        ({"type": "sgd", "nesterov": True}, "SGD: nesterov needs a momentum"),
        ({"type": "sgd", "nesterov": 1}, "SGD: nesterov (=1) must be true or false."),
        ({"type": "sgd", "groups": "*.bias"}, "SGD: groups (='*.bias') must be a tuple of Group."),
        ({"type": "sgd", "groups": ["*.bias"]}, "SGD: groups (=('*.bias',)) must be a tup"),
        ({"type": "sgd", "groups": [{"name": 1}]}, "Group has no setting 'name'. Known: match, "),
        ({"type": "sgd", "groups": [{}]}, "Group needs match: a pattern for parameters"),
        ({"type": "sgd", "groups": [{"match": ""}]}, "Group: match (='') must be a pattern for"),
        ({"type": "sgd", "groups": [{"match": "a", "lr": 0}]}, "Group: lr (=0) must be a posit"),
        ({"type": "sgd", "groups": [{"match": "a", "frozen": 1}]}, "Group: frozen (=1) must be"),
        ({"type": "adam", "betas": [0.9]}, "Adam: betas (=(0.9,)) must be two numbers"),
        ({"type": "adam", "betas": ["a", 0]}, "Adam: betas (=('a', 0)) must be two numbers"),
        ({"type": "adamw", "eps": 1e-40}, "AdamW: eps (=1e-40) must be a positive number, at le"),
        ({"type": "rmsprop", "alpha": 1}, "RMSprop: alpha (=1) must be at least 0 and below 1."),
        ({"type": "rmsprop", "momentum": 1}, "RMSprop: momentum (=1) must be at least 0 and"),
        ({"type": "adagrad", "lr_decay": None}, "Adagrad: lr_decay (=None) must be a number"),
        ({"type": "muon", "ns_steps": 0}, "Muon: ns_steps (=0) must be a whole number, 1 to 99."),
        ({"type": "muon", "ns_coefficients": [1, 2]}, "Muon: ns_coefficients (=(1, 2)) must be t"),
        ({"type": "muon", "adjust_lr_fn": "x"}, "Muon: adjust_lr_fn (='x') must be one of 'or"),
        ({"type": "muon", "rest": {"type": "muon"}}, "Muon: rest (=Muon("),
        ({"type": "muon", "rest": 3}, "Muon: rest (=3) must be a neocog optimizer: sgd, "),
    ],
)
def test_descriptions_that_are_refused(description, message):
    with pytest.raises(NeocogError) as caught:
        from_plain(Optimizer, description, "optimizer")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)

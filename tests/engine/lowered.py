"""Networks, lowered but not compiled."""

from neocog import SGD
from neocog.engine.lowering import lower
from neocog.engine.program_options import Method
from neocog.engine.schedule import training_plan
from neocog.engine.update_plan import Updating


def trained(network, batch=10, clipped=False, accumulate=1, averaging="", rule=None, **how):
    rule = rule or SGD(0.1, momentum=0.9)
    updating = Updating(rule.rule_for, clipped, accumulate, averaging)
    return training_plan(lower(network, training=True), batch, Method(updating, **how))

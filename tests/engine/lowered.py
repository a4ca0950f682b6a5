"""Networks, lowered but not compiled."""

from neocog import SGD
from neocog.engine.lowering import lower
from neocog.engine.program_options import ProgramOptions
from neocog.engine.schedule import training_plan
from neocog.engine.update_plan import UpdatePlan


def trained(network, batch=10, clipped=False, accumulate=1, averaging="", rule=None, **options):
    rule = rule or SGD(0.1, momentum=0.9)
    update_plan = UpdatePlan(rule.rule_for, clipped, accumulate, averaging)
    plan_options = ProgramOptions(update_plan, **options)
    return training_plan(lower(network.graph, training=True), batch, plan_options)

"""Networks, lowered but not compiled."""

from neocog import SGD
from neocog.engine.lowering import lower
from neocog.engine.program_options import ProgramOptions
from neocog.engine.schedule import training_plan
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.training import TrainingSettings

AVERAGING = {"": None, "average": EMA(0.9), "lookahead": Lookahead(5)}


def trained(
    network,
    batch=10,
    clipped=False,
    averaging="",
    rule=None,
    weighted=False,
    stored=None,
    sample_weighted=False,
    **settings,
):
    """The plan of a training."""
    classes = network.output_shape[0]
    chosen = TrainingSettings(
        optimizer=rule or SGD(0.1, momentum=0.9),
        clip_norm=1.0 if clipped else None,
        averaging=AVERAGING[averaging],
        class_weights=(1.0,) * classes if weighted else None,
        **settings,
    )
    options = ProgramOptions.of(chosen, stored=stored, sample_weighted=sample_weighted)
    return training_plan(lower(network.graph, training=True), batch, options)

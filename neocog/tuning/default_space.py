"""The space that is searched where nobody has said another: few settings, those that tell most.

- `lr` from a tenth of the settings' own to five times that, by its logarithm
- `weight_decay` from a tenth to ten times its own, by its logarithm (around 1e-4, if it is 0)
- `label_smoothing` from 0 to 0.2
- `translate`, the pixels by which images are shifted at random, from 0 to an eighth of their side
"""

from neocog.errors import NeocogError
from neocog.settings.recipe import Recipe
from neocog.tuning.space import Parameter, Range, check_space

__all__ = ["default_space"]

_USUAL_DECAY = 1e-4


def default_space(settings: Recipe, side: int) -> dict[str, Parameter]:
    """The usual space around some settings, for images of a side of so many pixels."""
    lr = settings.optimizer.lr
    decay = getattr(settings.optimizer, "weight_decay", 0) or _USUAL_DECAY
    wanted: dict[str, Parameter] = {
        "optimizer.lr": Range(lr / 10, 5 * lr, log=True),
        "optimizer.weight_decay": Range(decay / 10, 10 * decay, log=True),
        "label_smoothing": Range(0.0, 0.2),
        "augmentation.translate": Range(0, max(1, side // 8)),
    }
    space: dict[str, Parameter] = {}
    for name, parameter in wanted.items():
        try:
            check_space({name: parameter}, settings)
        except NeocogError:  # an optimizer without weight decay, say
            continue
        space[name] = parameter
    return space

"""The space that is searched where nobody has said another: few settings, those that tell most.

- `lr` from a tenth of the settings' own to five times that, by its logarithm
- `weight_decay`: its own, and a tenth, a third, three and ten times that (around 1e-4, if it is 0)
- `label_smoothing`: its own, 0, 0.05, 0.1 and 0.2
- `translate`, the pixels by which images are shifted at random: its own, 0, 1, 2, 4 and so on, to
  an eighth of their side

The last two are constants in compiled kernels: they have a few values, so that trials wait for the
compiler a few times and not each.
"""

from neocog.errors import NeocogError
from neocog.settings.recipe import Recipe
from neocog.tuning.space import Choices, Parameter, Range, check_space

__all__ = ["default_space"]

_USUAL_DECAY = 1e-4
_FACTORS = (0.1, 0.3, 1, 3, 10)


def default_space(settings: Recipe, side: int) -> dict[str, Parameter]:
    """The usual space around some settings, for images of a side of so many pixels."""
    lr = settings.optimizer.lr
    own = getattr(settings.optimizer, "weight_decay", 0.0)
    decay = own or _USUAL_DECAY
    decays = {own, *(float(f"{factor * decay:.2g}") for factor in _FACTORS)}
    shifts = {settings.augmentation.translate, 0, *_powers(max(1, side // 8))}
    wanted: dict[str, Parameter] = {
        "optimizer.lr": Range(lr / 10, 5 * lr, log=True),
        "optimizer.weight_decay": Choices(tuple(sorted(decays))),
        "label_smoothing": Choices(tuple(sorted({settings.label_smoothing, 0.0, 0.05, 0.1, 0.2}))),
        "augmentation.translate": Choices(tuple(sorted(shifts))),
    }
    space: dict[str, Parameter] = {}
    for name, parameter in wanted.items():
        try:
            check_space({name: parameter}, settings)
        except NeocogError:  # an optimizer without weight decay, say
            continue
        space[name] = parameter
    return space


def _powers(most: int) -> list[int]:
    """1, 2, 4, … to the most."""
    return [2**n for n in range(most.bit_length())]

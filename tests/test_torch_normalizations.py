"""Group and layer normalization as PyTorch's modules, and back."""

import numpy as np
import pytest

from neocog.layers import GroupNorm, LayerNorm2d

torch = pytest.importorskip("torch")
from neocog.torch_engine.layer_rules import module_of  # noqa: E402
from neocog.torch_engine.module_rules import rule_of_module  # noqa: E402

LAYERS = [
    GroupNorm(2, 6, 1e-3, False),
    GroupNorm(3, 6),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_modules_and_back(layer):
    module = module_of(layer)
    assert rule_of_module(module)(module) == layer
    shapes = {name: tuple(value.shape) for name, value in module.named_parameters()}
    assert shapes == layer.parameter_shapes()


def test_layer_norm_is_over_the_channels_of_a_pixel():
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    y = module_of(LayerNorm2d(6)).double()(x).detach().numpy()
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(1), 1, rtol=1e-4)

"""Sizes that machine code reads when it runs."""

from dataclasses import dataclass

import numpy as np
import pytest
from kernel_caller import Buffer, call, flat

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import pointer
from neocog.kernels.codegen.vector_types import FLOATS, LONGS
from neocog.kernels.compiler.jit import kernel, kernel_address
from neocog.kernels.compiler.runtime_sizes import kind_of, numbers_of, runtime_sizes
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd.forward import winograd_forward
from neocog.kernels.winograd.tiling import Winograd


@dataclass(frozen=True)
class Sizes:
    """What `Spec` reads when it runs."""

    rows: int
    apart: int


@dataclass(frozen=True)
class Kind:
    """What the code of `Spec` depends on."""

    factor: int

    runtime_sizes = Sizes


@dataclass(frozen=True)
class Spec:
    """Multiplies numbers that are some places apart."""

    factor: int
    rows: int
    apart: int

    @property
    def kind(self):
        return Kind(self.factor)

    @property
    def runtime_sizes(self):
        return Sizes(self.rows, self.apart)


@block(nothing)
def add_first(e, t, g, x, y):
    """Add the number `apart` from the first: a block reads the runtime sizes too."""
    e.store_float(e.add_float(e.load_float(x, g.apart), e.load_float(y)), y)


@kernel
def multiply(t, operands, first, count):
    """y[n] = factor · x[n · apart] for so many rows; then x[apart] is added to y[0]."""
    g = runtime_sizes(t, operands)
    x, y = pointer(operands, 0, LONGS), pointer(operands, 1, LONGS)
    for n in range(g.rows):
        y[n] = t.factor * x[n * g.apart]
    add_first(t, g, pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS))


@pytest.mark.parametrize(("rows", "apart"), [(1, 5), (4, 2), (3, 3)])
@pytest.mark.parametrize("factor", [2, 7])
def test_a_kernel_reads_its_sizes(factor, rows, apart):
    x, y = flat(np.arange(20), np.int64), Buffer(1, rows, np.int64)
    floats, total = flat(np.arange(20)), flat([100.0])
    call(multiply, Spec(factor, rows, apart), (x, y, floats, total), 1)
    np.testing.assert_array_equal(y.items[0], factor * apart * np.arange(rows))
    assert total.items[0] == 100 + apart


def test_stages_of_a_kind_share_machine_code():
    one, other = Spec(3, 1, 2), Spec(3, 5, 9)
    assert kernel_address(multiply, one) == kernel_address(multiply, other)
    assert kernel_address(multiply, one) != kernel_address(multiply, Spec(4, 1, 2))


def test_maps_and_channels_of_winograd_are_of_one_kind():
    specs = [
        Winograd(FeatureMap(h, w, c, 1, 1), FeatureMap(h, w, k), 1, 1)
        for h, w, c, k in ((8, 8, 16, 32), (7, 31, 24, 64))
    ]
    assert kernel_address(winograd_forward, specs[0]) == kernel_address(winograd_forward, specs[1])


def test_what_is_read_is_in_the_order_of_the_class():
    assert numbers_of(Spec(1, 20, 30)).tolist() == [20, 30]
    assert numbers_of(FeatureMap(1, 1, 1)).size == 0
    assert kind_of(FeatureMap(1, 2, 3)) == FeatureMap(1, 2, 3)


def test_an_unknown_size_does_not_compile():
    @kernel
    def wrong(t, operands, first, count):
        pointer(operands, 1, LONGS)[0] = runtime_sizes(t, operands).columns

    with pytest.raises(Exception, match="columns"):
        kernel_address(wrong, Spec(1, 1, 1))

"""Specs: what is a constant of machine code, and what it reads when it runs."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from kernel_caller import Buffer, call, flat

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import FLOATS, LONGS, vectors
from neocog.kernels.compiler.jit import compiled_kernel, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Size, Spec, SpecType, kind_of, numbers_of
from neocog.kernels.layout import FeatureMap


@dataclass(frozen=True)
class Pick(Spec):
    """Multiplies numbers that are some places apart."""

    factor: int
    x: FeatureMap
    weight: float = 0.5
    twice: bool = False
    offsets: tuple[int, ...] = ()

    constants = ("factor",)

    @property
    def apart(self):
        return self.x.height

    def place(self, n):
        """Of the n-th number; for blocks and for kernels' specs alike."""
        return n * self.apart


def pick(factor, apart, **others):
    return Pick(factor, FeatureMap(apart, 1, 1), **others)


@block(nothing)
def add_second(emit, spec, n, x, y):
    """y[0] += weight · x[apart · (n + 1)], or nothing."""
    value = emit.mul(emit.broadcast(x, spec.place(1 + n)), emit.constant(spec.weight))
    emit.store_first(emit.add(emit.load_first(y, 0, 1), value), y, 0, 1)


@kernel(x=LONGS, y=LONGS, floats=FLOATS, total=FLOATS, unused=maybe(LONGS))
def multiply(spec, o, first, count):
    """y[n] = factor · x[n · apart], twice that, or of the offsets; then a sum in `total`."""
    for n in range(count):
        o.y[n] = spec.factor * o.x[n * spec.x.height]
        if spec.twice:
            o.y[n] += o.y[n] + o.x[spec.offsets[n]]
    add_second(spec, 0, o.floats, o.total)


def run(spec, count):
    x, y = flat(np.arange(40), np.int64), Buffer(1, count, np.int64)
    floats, total = flat(np.arange(20)), flat([100.0])
    call(multiply, spec, count=count, x=x, y=y, floats=floats, total=total)
    return y.items[0].tolist(), total.items[0, 0]


@pytest.mark.parametrize(("apart", "weight"), [(5, 0.5), (2, -3.0), (3, 1.0)])
@pytest.mark.parametrize("factor", [2, 7])
def test_a_kernel_reads_its_sizes(factor, apart, weight):
    found, total = run(pick(factor, apart, weight=weight), 4)
    assert found == [factor * apart * n for n in range(4)]
    assert total == 100 + weight * apart


def test_truth_values_and_tuples_are_read_too():
    found, _ = run(pick(3, 2, twice=True, offsets=(9, 0, 30)), 3)
    assert found == [9, 2 * 6, 2 * 12 + 30]


def test_specs_of_a_kind_share_machine_code():
    one, other = (compiled_kernel(multiply, pick(3, apart)) for apart in (2, 9))
    assert one == other
    assert one.address != compiled_kernel(multiply, pick(4, 2)).address
    assert kind_of(pick(3, 2)) == kind_of(pick(3, 7, twice=True)) != kind_of(pick(2, 2))
    assert str(kind_of(pick(3, 2))) == "factor=3"


def test_a_spec_without_constants_to_name_is_constant():
    plain = FeatureMap(1, 2, 3)
    assert kind_of(plain) is plain
    assert SpecType(plain).attribute("width") == 2
    assert numbers_of([], plain).size == 0


def test_the_table_of_numbers():
    spec = pick(1, 20, weight=0.25, twice=True, offsets=(5, 6))
    sizes = [Size("apart", "i"), Size("offsets", "t"), Size("weight", "f"), Size("twice", "b")]
    numbers = numbers_of(sizes, spec)
    assert numbers[[0, 3]].tolist() == [20, 1]
    assert numbers.view(np.float64)[2] == 0.25
    assert numbers[1] == numbers[4:].ctypes.data and numbers[4:].tolist() == [5, 6]
    with pytest.raises(TypeError, match=r"apart .=20. of Pick changes its type"):
        numbers_of([Size("apart", "f")], spec)


def test_types_are_pickled():
    kind = SpecType(pick(3, 2)).attribute("x")
    assert pickle.loads(pickle.dumps(kind)) == kind


def test_what_does_not_exist_does_not_compile():
    @kernel(x=LONGS)
    def wrong_size(spec, o, first, count):
        o.x[0] = spec.columns

    @kernel(x=LONGS)
    def wrong_operand(spec, o, first, count):
        o.y[0] = 1

    for wrong, name in ((wrong_size, "columns"), (wrong_operand, "y")):
        with pytest.raises(Exception, match=name):
            compiled_kernel(wrong, pick(1, 1))


def test_types_cannot_depend_on_what_is_read():
    @block(lambda spec, *_: vectors(spec.apart))
    def some(emit, spec, x):
        return [emit.load(x)]

    @kernel(x=FLOATS)
    def wrong(spec, o, first, count):
        some(spec, o.x)

    with pytest.raises(Exception, match="apart of Pick is read at run time"):
        compiled_kernel(wrong, pick(1, 1))


def test_code_cannot_branch_on_what_is_read():
    @block(nothing)
    def branch(emit, spec, x):
        emit.store(emit.constant(1.0 if spec.twice else 2.0), x)

    @kernel(x=FLOATS)
    def wrong(spec, o, first, count):
        branch(spec, o.x)

    with pytest.raises(Exception, match="only known at run time"):
        compiled_kernel(wrong, pick(1, 1))


def test_operands_in_order():
    assert multiply.in_order({"total": "t", "y": "b", "x": "a", "floats": "c"}) == (
        *("a", "b", "c", "t"),
        None,
    )
    with pytest.raises(TypeError, match=r"multiply has no operand z\. Its operands are: x, y,"):
        multiply.in_order({"x": "a", "y": "b", "floats": "c", "total": "t", "z": "d"})
    with pytest.raises(TypeError, match="multiply needs the operand floats"):
        multiply.in_order({"x": "a", "y": "b", "total": "t"})

"""Functions that Python calls: what they are given, and what they refuse."""

import threading

import numpy as np
import pytest
from numba import float64, int64, uint8, uint64

from neocog.kernels.codegen.arrays import pointer_to, stack_array
from neocog.kernels.codegen.atomics import atomic_load
from neocog.kernels.compiler.operands import operands_at
from neocog.kernels.compiler.python_function import python_function

_five = stack_array(int64, 5)


@python_function(
    cube=uint8[:, :, ::1], row=float64[::1], key=uint64, number=int64, seen=int64[:, ::1]
)
def look(given):
    cube, row, seen = given.cube, given.row, given.seen
    d, h, w = cube.shape
    for i in range(d):
        for j in range(h):
            for k in range(w):
                row[(i * h + j) * w + k] = 2.0 * cube[i, j, k]
    for at, one in enumerate((d, h, w, len(row), cube.size, row.itemsize)):
        seen[0, at] = one
    for at, one in enumerate((*cube.strides, *row.strides, given.number)):
        seen[1, at] = one
    seen[1, 5] = np.int64(given.key >> np.uint64(1))
    return given.number - 1


def test_arrays_and_integers_arrive():
    cube = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    row, seen = np.zeros(24), np.zeros((2, 6), np.int64)
    assert look(cube, row, np.uint64(2**64 - 1), -7, seen) == -8
    np.testing.assert_array_equal(row, 2.0 * np.arange(24))
    assert seen.tolist() == [[2, 3, 4, 24, 24, 8], [12, 4, 1, 8, -7, 2**63 - 1]]
    # Empty arrays are arrays.
    assert look(cube[:, :0].copy(), row[:0], 0, 2**63 - 1, seen) == 2**63 - 2
    assert seen.tolist() == [[2, 0, 4, 0, 0, 8], [0, 4, 1, 8, 2**63 - 1, 0]]


def test_a_call_is_made_again_with_other_integers():
    cube, row, seen = np.ones((1, 1, 2), np.uint8), np.zeros(2), np.zeros((2, 6), np.int64)
    call = look.call(cube, row, 0, 5, seen)
    cube[:] = 9
    assert call() == 4
    call.set("number", 50)
    assert (call(), call()) == (49, 49)
    assert row.tolist() == [18.0, 18.0]


@pytest.mark.parametrize(
    ("place", "wrong", "said"),
    [
        (0, np.zeros((2, 2, 2), np.int8), "cube of look .* 3 axes of uint8.* 3 axes of int8"),
        (0, np.zeros((2, 2), np.uint8), "an array of 2 axes of uint8"),
        (0, np.zeros((2, 2, 4), np.uint8)[:, :, ::2], "not contiguous"),
        (0, np.zeros((2, 2, 4), np.uint8).T, "not contiguous"),
        (0, [[[1]]], "list"),
        (1, np.zeros(3, ">f8"), "row of look"),
        (1, None, "NoneType"),
        (3, 1.5, "float"),
        (3, None, "NoneType"),
    ],
)
def test_what_is_not_of_its_type_is_refused(place, wrong, said):
    given = [np.zeros((1, 1, 1), np.uint8), np.zeros(1), 0, 0, np.zeros((2, 6), np.int64)]
    given[place] = wrong
    with pytest.raises(TypeError, match=said):
        look(*given)


def test_operands_must_be_as_many_as_declared():
    with pytest.raises(ValueError):
        look(np.zeros((1, 1, 1), np.uint8))


_numbers_at = operands_at(look.operands_type)


@python_function(words=int64[::1])
def number_of(given):
    words = _five()
    for n in range(5):
        words[n] = n
    return _numbers_at(pointer_to(given.words)).number + words[4]


def test_a_table_of_operands_can_lie_anywhere():
    words = np.zeros(look.operands_type.size, np.int64)
    words[look.operands_type.places["number"]] = 30
    assert number_of(words) == 34


@python_function(flag=int64[::1])
def wait(given):
    while atomic_load(given.flag, 0) == 0:
        pass


def test_other_threads_run_meanwhile():
    flag = np.zeros(1, np.int64)
    wait.compile()
    waiting = threading.Thread(target=wait, args=(flag,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    flag[0] = 1
    waiting.join(60)
    assert not waiting.is_alive()


@python_function(step=int64)
def steps(given):
    count = 0
    for _ in range(0, 10, given.step):
        count += 1
    return count


def test_errors_of_compiled_code_are_raised():
    assert steps(5) == 2
    with pytest.raises(SystemError, match="steps"):
        steps(0)

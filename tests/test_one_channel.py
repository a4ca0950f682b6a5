"""Dense maps of one channel, as gray images are, through what works number by number.

In every width of vectors, and each in a process of its own: what was wrong here once was an
assertion in LLVM, which ends the process.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("width", [4, 8, 16])
def test_dropout_gelu_and_silu_of_one_channel(width):
    done = subprocess.run(
        [sys.executable, str(HERE / "test_one_channel.py")],
        cwd=HERE.parent,
        env={**os.environ, "NEOCOG_LANES": str(width)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["dropout", "gelu", "silu"]


def run_all():
    """Forward and back through each of them, against the formulas; says which are done."""
    sys.path.insert(0, str(HERE / "kernels"))
    from kernel_caller import blank, call, flat, maps, read, step

    from neocog import reference
    from neocog.kernels.elementwise.dropout import Dropout, dropout_backward, dropout_forward
    from neocog.kernels.elementwise.pointwise import (
        Pointwise,
        pointwise_backward,
        pointwise_forward,
    )
    from neocog.kernels.layout import FeatureMap

    m = FeatureMap(3, 5, 1, dense=True)
    x = np.linspace(-3, 3, 30, dtype=np.float32).reshape(2, 1, 3, 5)
    dy = np.cos(7 * x)

    spec = Dropout(m, m, m, m, p=0.5, layer=1)
    y, dx = blank(m, 2), blank(m, 2)
    seed, told = flat([5], np.int64), step(2)
    call(dropout_forward, spec, count=2, x=maps(m, x), y=y, seed=seed, step=told)
    call(dropout_backward, spec, count=2, dy=maps(m, dy), dx=dx, seed=seed, step=told)
    kept = read(m, y) != 0
    assert 5 < kept.sum() < 25
    np.testing.assert_array_equal(read(m, y), 2 * x * kept)
    np.testing.assert_array_equal(read(m, dx), 2 * dy * kept)
    sys.stdout.write("dropout\n")

    for name in ("gelu", "silu"):
        spec = Pointwise(m, m, m, m, m, function=name)
        y, g = blank(m, 2), blank(m, 2)
        call(pointwise_forward, spec, count=2, x=maps(m, x), y=y)
        call(pointwise_backward, spec, count=2, x=maps(m, x), dy=maps(m, dy), g=g)
        forward = getattr(reference, f"{name}_forward")
        backward = getattr(reference, f"{name}_backward")
        double = x.astype(np.float64)
        # A few units in the last place; test_pointwise_kernels.py derives how many.
        np.testing.assert_allclose(read(m, y), forward(double), rtol=5e-6)
        np.testing.assert_allclose(read(m, g), backward(dy, double), rtol=1e-5, atol=1e-6)
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    run_all()

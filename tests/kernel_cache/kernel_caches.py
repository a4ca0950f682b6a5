"""Programs that use the kernel cache, and an entry of it."""

import os
import subprocess
import sys
from pathlib import Path

import neocog
from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.kernel_cache import MachineCode, cache_folder
from neocog.kernels.compiler.spec import Size

# A network of five kernels or so. Prints how many were to be compiled, how many files were
# written or were there, and the losses to the last bit.
PROGRAM = """
import sys
import numpy as np
from neocog import SGD
from neocog.engine.trainer import Trainer
from neocog.kernels.compiler import jit, kernel_cache
from neocog.layers import Flatten, Linear
from neocog.network import Network
from neocog.settings.training import TrainingSettings

network = Network(input_shape=(1, 2, 4), flatten=Flatten(), fc=Linear(8, 3))
network.load_state_dict({
    "fc.weight": np.arange(24, dtype=np.float32).reshape(3, 8) / 24,
    "fc.bias": np.zeros(3, np.float32),
})
images = np.arange(64, dtype=np.uint8).reshape(8, 2, 4, 1)
told = []
exec(sys.argv[1])
trainer = Trainer(
    network.graph, network.state_dict(), network.preprocessing, images, np.arange(8) % 3,
    TrainingSettings(batch_size=4, optimizer=SGD(0.1), threads=1), on_compile=told.append,
)
print(told, [float(loss).hex() for loss in trainer.run(np.arange(8))], sep="|", end="|")
print(kernel_cache.cache_folder())
"""
# Counts what numba really compiles, whatever anyone says about it.
COUNT = """
from numba.core import compiler
real = compiler.compile_extra
def counted(*arguments, **options):
    told.append("compiled")
    return real(*arguments, **options)
compiler.compile_extra = counted
"""


def start(folder, before="", root=None, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, before],
        cwd=root or Path(neocog.__file__).parent.parent,
        env={
            **os.environ,
            "NEOCOG_CACHE_DIR": str(folder),
            "PYTHONPATH": str(root or Path(neocog.__file__).parent.parent),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """(what was told about compiling, the losses, the cache folder)."""
    return finish_saying(process)[:3]


def finish_saying(process):
    """The same, and what it said on stderr."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    told, losses, folder = out.strip().split("|")
    return told, losses, Path(folder), errors


def run(folder, *arguments, **options):
    return finish(start(folder, *arguments, **options))


ENTRY = MachineCode(
    "_ZN6kernel$1.2", bytes(range(256)) * 20, (Size("x.row", "i"), Size("limit", "f")), 0.25
)


def forget():
    for known in (kernel_cache.root, cache_folder, kernel_cache._opened):
        known.cache_clear()
    kernel_cache._say_not_kept.cache_clear()


def stat_mode(path):
    return path.stat().st_mode & 0o777 if os.name == "posix" else 0o700 if path.is_dir() else 0o600

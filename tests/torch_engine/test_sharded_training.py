"""The program in docs/scaling.md that trains from shards, run by torchrun as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from child_processes import environment
from picture_places import samples, tar

import neocog

pytest.importorskip("torch")

PAGE = Path(__file__).parent.parent.parent / "docs" / "scaling.md"


@pytest.mark.thorough
def test_two_processes_train_from_their_own_shards(tmp_path):
    (program,) = re.findall(r"```python\n(# train_shards.py.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "train_shards.py").write_text(program)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    for shard in range(3):
        tar(tmp_path / f"train-{shard}.tar", *samples(100 * shard, ["cat", "dog"] * 50))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, *where, "train_shards.py", "train-{0..2}.tar", "classes.txt", "2", "3"],
        cwd=tmp_path,
        env=environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"Epoch (\d): loss (\d+\.\d{3})", done.stdout)
    assert [number for number, _loss in lines] == ["1", "2", "3"]
    network = neocog.load(tmp_path / "model.safetensors")
    assert network.classes == ("cat", "dog")
    begun = neocog.models.make("resnet8", 2, input_shape=(3, 32, 32))
    begun.initialize(0)
    moved = begun.state_dict()
    for name, value in network.state_dict().items():
        assert np.isfinite(value).all()
        assert (value != moved[name]).any(), name

"""Event files, as TensorBoard itself reads them."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import FormatError, NeocogError
from neocog.formats.tensorboard import EventWriter, crc32c


def read_by_tensorboard(folder):
    """All scalars by tag, [(step, value, wall time)], with no step sampled away."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    found = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    if not found:  # where simple values are read as tensors
        found = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}
    return {tag: [(e.step, e.value, e.wall_time) for e in some] for tag, some in found.items()}


def steps_and_values(folder):
    return {
        tag: [(step, pytest.approx(value)) for step, value, _time in some]
        for tag, some in read_by_tensorboard(folder).items()
    }


# The check value of the CRC catalogs, and the examples of RFC 3720, B.4.
VECTORS = {
    b"": 0,
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    bytes.fromhex(
        "01c00000000000000000000000000000140000000000040000000014000000182800000000000000"
        "0200000000000000"
    ): 0xD9963A56,
}


@pytest.mark.parametrize(("data", "crc"), VECTORS.items(), ids=lambda value: str(value)[:20])
def test_crc32c_of_published_vectors(data, crc):
    assert crc32c(data) == crc


def test_tensorboard_reads_steps_values_tags_and_times(tmp_path):
    with EventWriter(tmp_path) as writer:
        writer.add_scalars(0, {"loss/train": 2.5, "learning rate": 0.1}, wall_time=1_700_000_000.25)
        writer.add_scalars(7, {"loss/train": 1.25}, wall_time=1_700_000_001.5)
    assert read_by_tensorboard(tmp_path) == {
        "loss/train": [(0, 2.5, 1_700_000_000.25), (7, 1.25, 1_700_000_001.5)],
        "learning rate": [(0, pytest.approx(0.1), 1_700_000_000.25)],
    }


def test_tensorboard_knows_the_version_and_the_start_of_the_file(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    with EventWriter(tmp_path, purge_step=5) as writer:
        pass
    version, start = loader.LegacyEventFileLoader(str(writer.path)).Load()
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (5, 1)


@settings(max_examples=20)
@given(
    st.dictionaries(st.text(min_size=1, max_size=40), st.floats(width=32), max_size=4),
    st.integers(0, 2**63 - 1),
)
def test_any_tag_and_number_is_read_back(tmp_path_factory, values, step):
    # Every other test of these stays valid where TensorBoard is not installed.
    folder = tmp_path_factory.mktemp("events")
    with EventWriter(folder) as writer:
        writer.add_scalars(step, values)
    found = read_by_tensorboard(folder)
    # A lone surrogate has no UTF-8.
    wanted = {tag.encode("utf-8", "replace").decode(): value for tag, value in values.items()}
    assert found.keys() == wanted.keys()
    for tag, value in wanted.items():
        (known_step, known, _time), *_more = found[tag]
        assert known_step == step
        np.testing.assert_equal(np.float32(known), np.float32(value))


def test_numbers_that_float32_cannot_hold_are_infinite(tmp_path):
    with EventWriter(tmp_path) as writer:
        writer.add_scalars(0, {"up": 1e300, "down": -1e300, "none": float("nan")})
    found = read_by_tensorboard(tmp_path)
    assert found["up"][0][1] == np.inf
    assert found["down"][0][1] == -np.inf
    assert np.isnan(found["none"][0][1])


def test_a_resumed_run_has_no_step_twice(tmp_path):
    with EventWriter(tmp_path) as writer:
        for step in range(6):
            writer.add_scalars(step, {"loss": float(step), "accuracy": 0.5})
    # From a checkpoint at step 3, so that the steps 3 to 5 are taken again.
    with EventWriter(tmp_path, purge_step=3) as writer:
        for step in range(3, 5):
            writer.add_scalars(step, {"loss": 10.0 * step})
    assert steps_and_values(tmp_path) == {
        "loss": [(0, 0), (1, 1), (2, 2), (3, 30), (4, 40)],
        "accuracy": [(0, 0.5), (1, 0.5), (2, 0.5)],
    }


def test_half_a_record_at_the_end_hides_nothing(tmp_path):
    with EventWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalars(step, {"loss": float(step)})
    whole = writer.path.read_bytes()
    for cut in (1, 3, 4, 20, 40):
        writer.path.write_bytes(whole[:-cut])
        assert steps_and_values(tmp_path) == {"loss": [(0, 0), (1, 1)]}
    with EventWriter(tmp_path, purge_step=2) as writer:
        writer.add_scalars(2, {"loss": 20.0})
    assert steps_and_values(tmp_path) == {"loss": [(0, 0), (1, 1), (2, 20)]}


def test_a_killed_process_leaves_all_that_it_wrote(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from neocog.formats.tensorboard import EventWriter\n"
        "writer = EventWriter(sys.argv[1])\n"
        "writer.add_scalars(1, {'loss': 0.5})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parent.parent, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert steps_and_values(tmp_path) == {"loss": [(1, 0.5)]}


def test_a_new_file_is_behind_the_others_whatever_the_clock_says(tmp_path):
    later = tmp_path / "events.out.tfevents.8000000000.another-machine.123.0"
    later.write_bytes(b"")
    (tmp_path / "events.out.tfevents.9999999999.x").write_bytes(b"")  # no time of ours
    (tmp_path / "events.out.tfevents.notime").write_bytes(b"")
    names = []
    for _ in range(3):
        with EventWriter(tmp_path) as writer:
            names.append(writer.path.name)
    assert names == sorted({*names, later.name})[1:]


@pytest.mark.parametrize("step", [-1, 2**63, 1.5, "1", None])
def test_a_wrong_step_is_said(tmp_path, step):
    with EventWriter(tmp_path) as writer, pytest.raises(NeocogError, match=r"step .*whole number"):
        writer.add_scalars(step, {"loss": 1.0})


def test_a_wrong_purge_step_makes_no_file(tmp_path):
    with pytest.raises(NeocogError, match=r"purge_step .*whole number"):
        EventWriter(tmp_path / "new", purge_step=-1)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_no_half_record(tmp_path, monkeypatch):
    with EventWriter(tmp_path) as writer:
        writer.add_scalars(0, {"loss": 1.0})
        real, written = os.write, []

        def write(descriptor, data):
            if not written:
                written.append(real(descriptor, bytes(data)[:10]))
                return 10
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", write)
            with pytest.raises(FormatError, match=r"tfevents\..* cannot be written: No space left"):
                writer.add_scalars(1, {"loss": 2.0})
        writer.add_scalars(2, {"loss": 3.0})  # there is room again
    assert steps_and_values(tmp_path) == {"loss": [(0, 1), (2, 3)]}


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FormatError, match=r"file.* cannot be written"):
        EventWriter(tmp_path / "file" / "events")


def test_closing_twice_does_nothing(tmp_path):
    writer = EventWriter(tmp_path)
    writer.flush()
    writer.close()
    writer.close()

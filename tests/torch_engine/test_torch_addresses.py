"""Where processes that train together listen: on this machine's own addresses alone."""

import os
import re
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

pytest.importorskip("torch")

from together import Torchrun

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at /proc"),
]

PAGE = Path(__file__).parent.parent.parent / "docs" / "distributed.md"
_LISTENS = "0A"
TRAIN = ("-m", "neocog", "train", "shapes", "--log-every", 20, "--threads", 1)


def sockets_of(process):
    """The numbers of a process's sockets."""
    found = set()
    for path in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            found.update(re.findall(r"^socket:\[(\d+)\]$", os.readlink(path)))  # noqa: PTH115
    return found


def address_of(text):
    """An address as the kernel shows it: words of four bytes, the last byte first."""
    words = bytes.fromhex(text)
    found = ip_address(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4)))
    return getattr(found, "ipv4_mapped", None) or found


def listened_at(processes):
    """The addresses at which processes listen."""
    sockets = set().union(*map(sockets_of, processes))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    if Path("/proc/net/tcp6").exists():
        lines += Path("/proc/net/tcp6").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {
        address_of(row[1].partition(":")[0])
        for row in rows
        if row[3] == _LISTENS and row[9] in sockets
    }


def test_processes_listen_to_their_own_machine(tmp_path):
    with Torchrun(*TRAIN, "--out", "run", cwd=tmp_path) as run:
        run.wait_for("Loss: ")
        found = listened_at(run.ranks())
        assert found and all(address.is_loopback for address in found)


def test_with_a_file_to_meet_by_nothing_listens_beyond_this_machine(tmp_path):
    """The command of docs/distributed.md, which also has torchrun itself listen nowhere else."""
    text = PAGE.read_text()
    name, value = re.search(r"^export (TORCH_\w+)=(\d)$", text, re.M).groups()
    command = re.search(r"^torchrun (--nproc.*--rdzv-conf.*) \\\n +(.*) -m neocog", text, re.M)
    words = " ".join(command.groups()).replace('"$(mktemp -u)"', str(tmp_path / "meet")).split()
    options = words[words.index("--rdzv-backend") :]
    with Torchrun(*TRAIN, "--out", "run", cwd=tmp_path, options=options, **{name: value}) as run:
        run.wait_for("Loss: ")
        found = listened_at([run.number, *run.ranks()])
        assert found and all(address.is_loopback for address in found)

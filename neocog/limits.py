"""The cores and the memory that this process may use.

A container, a batch system or a shell often gives a process less than the machine has: a quota of
processor time or memory (cgroups), some of the cores (affinity), a limit of address space
(``ulimit -v``). Python's own counts know only some of these.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from neocog.errors import NeocogError

__all__ = [
    "MOST_THREADS",
    "available_cores",
    "available_memory",
    "cores",
    "readable",
    "require_memory",
]

#: Largest number of threads that can be asked for.
MOST_THREADS = 256

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
# Cgroups version 1 express "no limit" by a number near 2**63.
_UNLIMITED = 2**60
# Memory that counts as used but is dropped before anything is refused: the page cache, however
# recently read (as the data are), and the file system's own. In version 1, with child groups.
_DROPPED = ("active_file", "inactive_file", "slab_reclaimable")
_DROPPED_1 = ("total_active_file", "total_inactive_file")


def cores() -> int:
    """Cores that this process may run on, regardless of quotas."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_cores() -> int:
    """Threads that can run at once: by cores, affinity, the cgroups' quota, `OMP_NUM_THREADS`."""
    quotas = [math.ceil(quota) for quota in _cpu_quotas()]
    # OpenMP allows a list for nested levels, of which the first counts.
    asked = re.fullmatch(r"\s*(\d{1,6})\s*(,.*)?", os.environ.get("OMP_NUM_THREADS", ""))
    if asked and int(asked[1]) > 0:
        quotas.append(int(asked[1]))
    return max(1, min([cores(), *quotas]))


def available_memory() -> int | None:
    """Bytes that this process can still get without taking memory from others; None if unknown."""
    found = [*_machine_memory(), *_cgroup_memory(), *_address_space()]
    return max(0, min(found)) if found else None


def require_memory(size: int, purpose: str, remedy: str) -> None:
    """Raise `NeocogError` if this process cannot get `size` bytes.

    Args:
        size: in bytes.
        purpose: what needs the memory, as the beginning of a sentence: "A batch of 64 images".
        remedy: what to do, as a sentence: "Take a smaller batch."
    """
    most = available_memory()
    if most is not None and size > most:
        raise NeocogError(
            f"{purpose} needs {readable(size)} of memory, and this process can get "
            f"{readable(most)}. {remedy}"
        )


def readable(size: int) -> str:
    """A number of bytes, for people."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"


# The machine


def _machine_memory() -> Iterator[int]:
    text = _text(_PROC / "meminfo")
    values = {
        name: 1024 * int(number)
        for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    }
    if "MemAvailable" in values:
        yield values["MemAvailable"] + values.get("SwapFree", 0)
        return
    try:
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return


# Control groups, https://docs.kernel.org/admin-guide/cgroup-v2.html


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control groups and their parents.

    In a container the path in /proc/self/cgroup may be that of the host, which does not exist in
    the container; its own group is then at the root.
    """
    for line in _text(_PROC / "self" / "cgroup").splitlines():
        _number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUPS / controllers if controllers else _CGROUPS
        inner = Path(path.lstrip("/"))
        for part in (inner, *inner.parents):
            if ".." not in part.parts:
                yield root / part


def _cpu_quotas() -> Iterator[float]:
    """Numbers of cores that the control groups' quotas amount to."""
    for folder in _groups("cpu"):
        quota, period = (*_text(folder / "cpu.max").split(), "", "")[:2]
        if not quota:  # version 1
            quota = _text(folder / "cpu.cfs_quota_us").strip()
            period = _text(folder / "cpu.cfs_period_us").strip()
        if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)


def _cgroup_memory() -> Iterator[int]:
    """Bytes that each control group has left; reclaimable memory counts as left."""
    for folder in _groups("memory"):
        for limit, used, dropped in (
            ("memory.max", "memory.current", _DROPPED),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", _DROPPED_1),
        ):
            most, now = _text(folder / limit).strip(), _text(folder / used).strip()
            if most.isdecimal() and now.isdecimal() and int(most) < _UNLIMITED:
                stat = _text(folder / "memory.stat")
                parts = re.findall(rf"^(?:{'|'.join(dropped)}) (\d+)$", stat, re.MULTILINE)
                yield int(most) - int(now) + sum(map(int, parts))


# Limits of the process


def _address_space() -> Iterator[int]:
    """Bytes left within ``ulimit -v`` and ``ulimit -d``."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    status = _text(_PROC / "self" / "status")
    for name, used in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        if hasattr(resource, name):
            most = resource.getrlimit(getattr(resource, name))[0]
            now = re.search(rf"^{used}:\s+(\d+) kB$", status, re.MULTILINE)
            if most != resource.RLIM_INFINITY and now:
                yield most - 1024 * int(now[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

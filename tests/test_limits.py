"""What this process may use: cores and memory, from made-up files of the system's."""

import pytest

from neocog import limits
from neocog.errors import NeocogError


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Write files below made-up /proc and /sys/fs/cgroup folders: system(proc={…}, cgroup={…})."""
    monkeypatch.setattr("neocog.limits._PROC", tmp_path / "proc")
    monkeypatch.setattr("neocog.limits._CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def write(**folders):
        for folder, files in folders.items():
            for name, text in files.items():
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

    return write


def test_cores_without_limits(system):
    assert limits.available_cores() == 8


@pytest.mark.parametrize(
    ("quota", "cores"), [("300000 100000", 3), ("150000 100000", 2), ("1 100000", 1), ("max 1", 8)]
)
def test_a_quota_of_time(system, quota, cores):
    system(proc={"self/cgroup": "0::/a/b\n"}, cgroup={"a/b/cpu.max": quota})
    assert limits.available_cores() == cores


def test_the_tightest_quota_on_the_way_counts(system):
    system(
        proc={"self/cgroup": "0::/a/b\n"},
        cgroup={"a/b/cpu.max": "600000 100000", "a/cpu.max": "500000 100000"},
    )
    assert limits.available_cores() == 5


def test_a_quota_of_the_first_version(system):
    system(
        proc={"self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/x\n"},
        cgroup={
            "cpu,cpuacct/x/cpu.cfs_quota_us": "250000",
            "cpu,cpuacct/x/cpu.cfs_period_us": "100000",
        },
    )
    assert limits.available_cores() == 3
    system(cgroup={"cpu,cpuacct/x/cpu.cfs_quota_us": "-1"})
    assert limits.available_cores() == 8


def test_in_a_container_the_root_is_its_own(system):
    system(
        proc={"self/cgroup": "0::/../host/path\n"},
        cgroup={"cpu.max": "200000 100000", "memory.max": "5000", "memory.current": "1000"},
    )
    assert limits.available_cores() == 2


@pytest.mark.parametrize(
    ("variable", "cores"), [("3", 3), (" 2,4 ", 2), ("99", 8), ("0", 8), ("-1", 8), ("many", 8)]
)
def test_openmp_s_variable(system, monkeypatch, variable, cores):
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert limits.available_cores() == cores


MEMINFO = "MemTotal: 9999 kB\nMemAvailable:    2048 kB\nSwapFree:  1024 kB\n"


def test_memory_of_the_machine(system):
    system(proc={"meminfo": MEMINFO})
    assert limits.available_memory() == 3 * 2**20


def test_memory_of_control_groups(system):
    system(
        proc={"meminfo": MEMINFO, "self/cgroup": "0::/a/b\n"},
        cgroup={
            "a/b/memory.max": "max",
            "a/b/memory.current": "100",
            "a/memory.max": "1000000",
            "a/memory.current": "600000",
            "a/memory.stat": (
                "anon 1\ninactive_file 200000\nactive_file 5000\n"
                "slab_reclaimable 300\nslab_unreclaimable 7\nworkingset_activate_file 9\n"
            ),
        },
    )
    assert limits.available_memory() == 605_300


def test_memory_of_control_groups_of_the_first_version(system):
    system(
        proc={"meminfo": MEMINFO, "self/cgroup": "4:memory:/m\n"},
        cgroup={
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": "1",
            "memory/m/memory.limit_in_bytes": "1000000",
            "memory/m/memory.usage_in_bytes": "900000",
            "memory/m/memory.stat": (
                "inactive_file 1\ntotal_inactive_file 50000\ntotal_active_file 2000\n"
            ),
        },
    )
    assert limits.available_memory() == 152_000


def test_memory_of_the_address_space(system, monkeypatch):
    resource = pytest.importorskip("resource")

    def limit(kind):
        most = 3_000_000 if kind == resource.RLIMIT_AS else resource.RLIM_INFINITY
        return most, resource.RLIM_INFINITY

    monkeypatch.setattr("resource.getrlimit", limit)
    system(proc={"meminfo": MEMINFO, "self/status": "Name:\tx\nVmSize:\t   1000 kB\n"})
    assert limits.available_memory() == 3_000_000 - 1_024_000


def test_unknown_memory_refuses_nothing(system, monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: None)
    limits.require_memory(2**60, "This", "Nothing to do.")


def test_what_is_refused_is_said(system):
    system(proc={"meminfo": MEMINFO})
    limits.require_memory(3 * 2**20, "This", "Nothing to do.")
    with pytest.raises(NeocogError) as refused:
        limits.require_memory(5 * 2**30, "A batch of 64 images", "Take a smaller batch.")
    assert str(refused.value) == (
        "A batch of 64 images needs 5.0 GiB of memory, and this process can get 3.0 MiB. "
        "Take a smaller batch."
    )

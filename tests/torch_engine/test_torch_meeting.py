"""How processes meet and miss each other, without any that train."""

import threading

import pytest

from neocog import NeocogError
from neocog.launch import Launch

pytest.importorskip("torch")

import torch.distributed as dist

from neocog.torch_engine import meeting, processes
from neocog.torch_engine.meeting import is_local, meet, network_names
from neocog.torch_engine.processes import Processes


class Store:
    """Counters by name, as in a store of PyTorch's."""

    def __init__(self, beating):
        self.beating = beating
        self.beats = 0

    def add(self, key, number):
        self.beats += self.beating and key.startswith("beats/")
        return self.beats


def waiting(store):
    """Rank 1 of two, that waits at a store."""
    found = object.__new__(Processes)
    found.rank, found.count, found._store = 1, 2, store
    return found


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(processes, "_BEAT", 0.01)
    monkeypatch.setattr(processes, "_SILENCE", 0.1)


def test_who_says_nothing_is_lost(quickly):
    with pytest.raises(NeocogError) as raised:
        waiting(Store(beating=False))._wait(lambda: False, [0])
    assert str(raised.value).startswith(
        "Rank 1 of 2 has lost another process (rank 0 has said nothing for 0 s), and cannot train"
    )


def test_who_beats_is_waited_for(quickly):
    store = Store(beating=True)
    waiting(store)._wait(lambda: store.beats > 40, [0])


def test_a_machine_that_slept_has_lost_nobody(quickly, monkeypatch):
    """A gap between two looks counts little, as this process itself did nothing meanwhile."""
    now = iter([0.0, *(1000.0 * n for n in range(1, 10))])
    monkeypatch.setattr(processes, "_SILENCE", 30.0)
    monkeypatch.setattr(processes.time, "monotonic", lambda: next(now))
    left = iter([False] * 8 + [True])
    waiting(Store(beating=False))._wait(lambda: next(left), [0])


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (dist.DistNetworkError("failed to recv, got 0 bytes"), "failed to recv, got 0 bytes"),
        (
            RuntimeError(
                "[/src/third_party/gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:80. "
                "This is typically caused by a crash."
            ),
            "Connection closed by peer [127.0.0.1]:80",
        ),
    ],
)
def test_a_lost_connection_is_said_in_one_sentence(error, why):
    found = waiting(None)
    with pytest.raises(NeocogError) as raised, found.losing():
        raise error
    assert f"has lost another process ({why}), and cannot train without it." in str(raised.value)
    with pytest.raises(NeocogError, match="nobody hears"):  # at once, and not after a timeout
        found.tell("end")


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2") as raised, waiting(None).losing():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert not isinstance(raised.value, NeocogError)


def free_port():
    with meeting.socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_processes_meet_and_no_earlier_start_is_in_their_way():
    port = free_port()
    launches = [Launch(rank, 3, rank, 3, 0, 0, "127.0.0.1", port, False) for rank in range(3)]
    found = {}

    def come(one, store=None):
        found[one.rank] = meet(one)
        found[one.rank].add("times", 1)

    for _ in range(2):  # the second time as if torchrun had started all anew
        threads = [threading.Thread(target=come, args=(one,)) for one in launches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [found[rank].add("times", 0) for rank in range(3)] == [3, 3, 3]
        kept = found[0]  # rank 0's process keeps the store, which goes with it
        launches = [Launch(r, 3, r, 3, 1, 1, "127.0.0.1", port, True) for r in range(3)]
    assert kept is not None


def test_one_machine_keeps_to_itself():
    here = Launch(0, 2, 0, 2, 0, 0, "localhost", 1, True)
    assert is_local("127.0.0.1") and is_local("localhost") and not is_local("192.0.2.1")
    names = network_names(here)
    assert set(names) == {"GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"}
    assert set(names.values()) <= {"lo", "lo0"}
    assert network_names(Launch(0, 4, 0, 2, 0, 0, "localhost", 1, True)) == {}
    assert network_names(Launch(0, 2, 0, 2, 0, 0, "192.0.2.1", 1, True)) == {}


def test_who_comes_alone_is_told_so(monkeypatch):
    monkeypatch.setattr(meeting, "_COMING", 0.2)
    with pytest.raises(NeocogError, match=r"^Rank 0 has waited 0 s for the other processes"):
        meet(Launch(0, 2, 0, 2, 0, 0, "127.0.0.1", free_port(), False))

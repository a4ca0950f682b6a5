"""What is done for GPUs, as far as it can be seen without one."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from neocog import NeocogError

torch = pytest.importorskip("torch")
from neocog.torch_engine import batches, devices, steps  # noqa: E402

GPU = SimpleNamespace(type="cuda")


class OnGpu:
    """Stands for a tensor on a GPU, and writes down what is done with it."""

    device = GPU

    def __init__(self, told):
        self.told = told

    def detach(self):
        return self

    def pin_memory(self):
        self.told.append("pinned")
        return self

    def to(self, device, *, non_blocking):
        assert non_blocking
        self.told.append(f"sent to {getattr(device, 'type', device)}")
        return 2.5


def test_a_loss_is_waited_for_when_it_is_asked_for_and_not_before(monkeypatch):
    told = []

    class Event:
        def record(self):
            told.append("recorded")

        def synchronize(self):
            told.append("waited")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    value = steps._number(OnGpu(told))
    assert told == ["sent to cpu", "recorded"]
    assert value() == 2.5
    assert told[2:] == ["waited"]


def test_a_loss_on_the_cpu_is_its_number():
    loss = torch.tensor(1.5, requires_grad=True)
    assert steps._number(loss)() == 1.5


def test_batches_are_pinned_before_they_are_sent():
    told = []
    assert batches.sent(OnGpu(told), GPU) == 2.5
    assert told == ["pinned", "sent to cuda"]


def test_gpus_compute_in_float32_by_algorithms_that_repeat(monkeypatch):
    cudnn, asked = torch.backends.cudnn, []
    monkeypatch.setattr(torch.cuda, "device", lambda device: asked.append(device) or nullcontext())
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    with pytest.raises(KeyError), devices.computing(GPU, 1):
        assert asked == [GPU]
        assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == (False, True, False)
        raise KeyError
    assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == before


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    with devices.computing(torch.device("cpu"), before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_too_little_memory_of_a_gpu_is_explained():
    wanted = r"memory is too small .* Take a smaller batch_size"
    with pytest.raises(NeocogError, match=wanted), devices.explained():
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")


def test_what_fails_in_pytorch_is_one_line():
    wanted = r"^PyTorch failed: no kernel image$"
    with pytest.raises(NeocogError, match=wanted), devices.explained():
        raise RuntimeError("no kernel image\nCompile with TORCH_USE_CUDA_DSA")


@pytest.mark.parametrize("kind", [ValueError, TypeError])
def test_other_errors_stay_what_they_are(kind):
    with pytest.raises(kind, match="mine"), devices.explained():
        raise kind("mine")

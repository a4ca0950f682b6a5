"""Devices that PyTorch computes on."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from neocog.errors import NeocogError, printable

__all__ = [
    "chosen_device",
    "computing",
    "device_name",
    "explained",
    "free_memory",
    "has_gpu",
]


def has_gpu() -> bool:
    """Whether PyTorch finds a GPU of NVIDIA's or AMD's that it can use."""
    with warnings.catch_warnings():  # of drivers that are too old
        warnings.simplefilter("ignore")
        return bool(torch.cuda.is_available())


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def chosen_device(
    asked: str | None, precision: str = "float32", local_rank: int | None = None
) -> str:
    """The device that was asked for, or the best one that there is.

    Args:
        asked: "cpu", "cuda", "cuda:1", "mps" or None.
        precision: "float32" or "bf16".
        local_rank: of this process, if it trains together with others: of the GPUs it takes the one
            with this number, and of a Mac the CPU.

    Raises:
        NeocogError: there is no such device, or it does not compute with this precision.
    """
    if local_rank is None:
        found = asked or ("cuda" if has_gpu() else "mps" if _has_mps() else "cpu")
    else:
        found = asked or ("cuda" if has_gpu() else "cpu")
        found = f"cuda:{local_rank}" if found == "cuda" else found
    kind, _, number = found.partition(":")
    if kind == "cuda":
        _check_cuda(found, int(number or 0), precision)
    if kind == "mps" and not _has_mps():
        raise NeocogError(
            "device (='mps') is the GPU of a Mac, and PyTorch finds none here. Take device='cpu'."
        )
    return found


def _check_cuda(device: str, number: int, precision: str) -> None:
    if not has_gpu():
        built = torch.version.cuda or torch.version.hip
        why = "" if built else ": it was built for CPUs alone, see https://pytorch.org/get-started"
        raise NeocogError(
            f"device (={device!r}): PyTorch {torch.__version__} finds no GPU here{why}. Take "
            "device='cpu', or engine='neocog', which is faster there."
        )
    count = torch.cuda.device_count()
    if number >= count:
        raise NeocogError(
            f"device (={device!r}): there {'is' if count == 1 else 'are'} {count}, "
            f"cuda:0{f' to cuda:{count - 1}' if count > 1 else ''}."
        )
    if precision == "bf16" and not torch.cuda.is_bf16_supported():
        raise NeocogError(
            f"precision (='bf16'): {torch.cuda.get_device_name(number)} has no such numbers. Take "
            "precision='float32'."
        )


def device_name(device: str) -> str:
    """PyTorch's version and the device in words."""
    version = f"PyTorch {torch.__version__}"
    if device.startswith("cuda"):
        return f"{version} on {device} ({torch.cuda.get_device_name(device)})"
    return f"{version} on {'the CPU' if device == 'cpu' else device}"


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device beside the CPU's memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())


@contextmanager
def computing(device: torch.device, threads: int) -> Iterator[None]:
    """Compute with so many threads on the CPU, and on GPUs by algorithms that give the same bits.

    Convolutions in float32 are computed in float32, and not in the shorter numbers that NVIDIA's
    tensor cores would take for them; for speed there is bf16.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        if device.type != "cuda":
            yield
            return
        exact = {"benchmark": False, "deterministic": True, "allow_tf32": False}
        with torch.cuda.device(device), torch.backends.cudnn.flags(enabled=True, **exact):
            yield
    finally:
        torch.set_num_threads(before)


_SMALLER = "Take a smaller batch_size, with accumulate for the same steps, or precision='bf16'."


@contextmanager
def explained(advice: str = _SMALLER) -> Iterator[None]:
    """Raise `NeocogError` for what PyTorch cannot do, above all for want of memory.

    Args:
        advice: a sentence on what to do about a GPU's memory that is too small.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise NeocogError(
            f"The GPU's memory is too small for this: {_first_line(error)} {advice}"
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise NeocogError(
            "PyTorch's batch normalization needs more than one value a channel, and a batch has "
            "one. Take a batch_size that leaves more than one image for the last batch, or "
            "engine='neocog'."
        ) from error
    except RuntimeError as error:
        raise NeocogError(f"PyTorch failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return printable(lines[0], 400) if lines else type(error).__name__

"""Random numbers: PyTorch's own, so that its trainings can be repeated."""

from neocog.random.torch_stream import TorchStream

__all__ = ["TorchStream"]

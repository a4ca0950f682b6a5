"""Random numbers that are identical to PyTorch's, so that its trainings can be reproduced."""

from neocog.random.torch_stream import TorchStream

__all__ = ["TorchStream"]

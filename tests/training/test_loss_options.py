"""Label smoothing and class weights against PyTorch."""

import numpy as np
import pytest
from trainer_by_torch import ORDER, InTorch, compare, small, trainer_of

from neocog import SGD


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothing_and_class_weights_by_pytorch(smoothing, weighted):
    data = small()
    weights = np.array([0.5, 2.0, 0.125, 1.25], np.float32)
    torch_side = InTorch(data)
    torch = torch_side.torch
    torch_side.loss = torch.nn.CrossEntropyLoss(
        weight=torch.from_numpy(weights).double() if weighted else None, label_smoothing=smoothing
    )
    stepper = torch.optim.SGD(torch_side.module.parameters(), lr=0.02, momentum=0.9)
    trainer = trainer_of(
        data,
        SGD(0.02, momentum=0.9),
        label_smoothing=smoothing,
        class_weights=weights if weighted else None,
    )
    compare(trainer, torch_side, trainer.run(ORDER), torch_side.steps(stepper))

"""The note's five epochs on CIFAR-10, neocog beside PyTorch: every printed loss, and accuracy.

PyTorch's side is the note's script with the data in memory: with the same seed its DataLoader gives
the same order, which `tests/test_torch_stream.py` checks, so the order is taken from there.
"""

import argparse

import numpy as np
import torch
from tables import write_table
from torch import nn

import neocog
from neocog.random.torch_stream import TorchStream
from neocog.torch_engine.baseline import Baseline


def pytorch(data: neocog.Data, epochs: int) -> tuple[list[float], float]:
    """The script's printed losses and its test accuracy."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 16 * 16, 10),
    )
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    stream = TorchStream(0)
    stream.initial_state(neocog.models.simple_cnn().graph)
    images = torch.from_numpy(data.train.images)
    labels = torch.from_numpy(data.train.labels)
    printed = []
    for _ in range(epochs):
        running = 0.0
        for step, indices in enumerate(torch.from_numpy(stream.epoch_order(len(labels))).split(4)):
            optimizer.zero_grad()
            loss = loss_of(net(Baseline.normalize(images[indices])), labels[indices])
            loss.backward()
            optimizer.step()
            running += loss.item()
            if step % 2000 == 1999:
                printed.append(running / 2000)
                running = 0.0
    with torch.inference_mode():
        test = torch.from_numpy(data.test.images)
        scores = torch.cat([net(Baseline.normalize(part)) for part in test.split(500)])
    right = scores.argmax(1).numpy() == data.test.labels
    return printed, float(np.mean(right))


def main() -> None:
    """Train both, print both, and with --write put the tables into docs and README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/parity.md")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    data = neocog.load_data("cifar10")
    network = neocog.models.simple_cnn()
    history = neocog.fit(network, data.train, epochs=options.epochs, batch_size=4, seed=0)
    accuracy = neocog.evaluate(network, data.test).accuracy
    expected, other_accuracy = pytorch(data, options.epochs)
    lines = ["| epoch | batch | neocog | PyTorch | difference |", "|---|---|---|---|---|"]
    for entry, loss in zip(history.logged, expected, strict=True):
        lines.append(
            f"| {entry.epoch} | {entry.batch} | {entry.loss:.4f} | {loss:.4f} "
            f"| {entry.loss - loss:+.5f} |"
        )
    worst = max(abs(e.loss - x) for e, x in zip(history.logged, expected, strict=True))
    lines += [
        "",
        f"Largest difference {worst:.5f} (bar: 0.005). Test accuracy {100 * accuracy:.2f} % and "
        f"{100 * other_accuracy:.2f} % (bar: 0.5 points apart).",
    ]
    table = "\n".join(lines)
    print(table)
    if options.write:
        write_table("docs/parity.md", "parity", table)
        few = [0, 1, 2, len(expected) - 1]
        rows = [(history.logged[i], expected[i]) for i in few]
        lines = ["| `neocog train cifar10` | the script in PyTorch |", "|---|---|"]
        lines += [
            f"| `Epoch: {e.epoch}, Batch: {e.batch}, Loss: {e.loss:.3f}` "
            f"| `Epoch: {e.epoch}, Batch: {e.batch}, Loss: {x:.3f}` |"
            for e, x in rows
        ]
        lines.append(
            f"| `Test accuracy: {100 * accuracy:.2f} %` | `Test accuracy: "
            f"{100 * other_accuracy:.2f} %` |"
        )
        write_table("README.md", "run", "\n".join(lines))
    if worst > 0.005 or abs(accuracy - other_accuracy) > 0.005:
        raise SystemExit("The two runs differ by more than they may.")


if __name__ == "__main__":
    main()

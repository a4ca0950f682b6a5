"""A model of data-parallel training on many GPUs: formulas with numbers, which a reader can check.

    python benchmarks/scaling_model.py [--write]

With R GPUs, g of them in a machine, M = R / g machines, b images a GPU and step, a network of P
parameters and F multiply-adds an image forward:

    compute a step     T_c = t_0 + b · 6 F / U          forward 2 F, backward 4 F operations
    bytes to reduce    B = 4 P                          gradients in float32
    in a machine       T_g = 2 (g − 1) / g · B / W_g + 2 (g − 1) a_g            a ring
    between machines   T_M = 2 (M − 1) / M · B / W_M + 2 ⌈log₂ M⌉ a_M           trees
    not overlapped     T_x = max(0, T_g + T_M − ⅔ T_c) + (T_g + T_M) · min(1, B_last / B)
    the slowest GPU    T_s = s T_c √(2 ln R)            of R normal deviates of s T_c, about
    a step             T = T_c + T_s + T_x
    images a second    R b / T,  and efficiency T_c / T

DistributedDataParallel reduces gradients in buckets while the way back, ⅔ of a step, still
computes; the last bucket of B_last bytes has nothing to hide behind.
"""

import argparse
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table


@dataclass(frozen=True)
class Hardware:
    """What a machine can do; of the table, one with eight GPUs as were sold from 2023 on.

    Attributes:
        operations: U, that a GPU does a second of a network's, in bfloat16.
        step: t_0, seconds of a step that do not depend on the batch: some hundred kernels started.
        inside: W_g, bytes a second that a GPU sends to the others in its machine.
        inside_latency: a_g, seconds.
        network: W_M, bytes a second that a machine sends.
        network_latency: a_M, seconds.
        bucket: B_last.
        spread: s, the standard deviation of a GPU's time for a step, as a part of it.
        memory: of a GPU, bytes.
        cores: of the machine's processors.
        decoded: pictures a second that a core decodes and scales to 224 × 224.
        disk: bytes a second that a machine reads from its own disks.
    """

    operations: float = 60e12
    step: float = 3e-3
    inside: float = 200e9
    inside_latency: float = 5e-6
    network: float = 50e9
    network_latency: float = 20e-6
    bucket: float = 25 * 2**20
    spread: float = 0.03
    memory: float = 80e9
    cores: int = 96
    decoded: float = 340.0
    disk: float = 5e9


@dataclass(frozen=True)
class Task:
    """A network and its pictures.

    Attributes:
        name: for people.
        parameters: P.
        multiply_adds: F, of an image.
        batch: b, images a GPU and step.
        maps: bytes of maps that the way back needs, an image.
        picture: bytes of a picture as it lies in a shard; 0 where pixels lie in memory.
    """

    name: str
    parameters: float
    multiply_adds: float
    batch: int
    maps: float
    picture: float


@dataclass(frozen=True)
class Step:
    """What the formulas give for a task on so many GPUs.

    Attributes:
        compute, slowest, reduce, exposed: T_c, T_s, T_g + T_M and T_x, in seconds.
        images: a second, of all GPUs.
        sent: bytes that a machine sends to others a step.
        decoders: cores of a machine that decode so fast.
        read: bytes a second that a machine reads.
    """

    compute: float
    slowest: float
    reduce: float
    exposed: float
    images: float
    sent: float
    decoders: float
    read: float

    @property
    def seconds(self) -> float:
        """T, of a step."""
        return self.compute + self.slowest + self.exposed

    @property
    def efficiency(self) -> float:
        """The part of the time in which GPUs compute."""
        return self.compute / self.seconds


def step_of(task: Task, machines: int, gpus: int, has: Hardware) -> Step:
    """The formulas above, for M machines with g GPUs each."""
    compute = has.step + task.batch * 6 * task.multiply_adds / has.operations
    size = 4 * task.parameters
    inside = 2 * (gpus - 1) / gpus * size / has.inside + 2 * (gpus - 1) * has.inside_latency
    sent = 2 * (machines - 1) / machines * size
    between = sent / has.network + 2 * math.ceil(math.log2(machines)) * has.network_latency
    reduce = inside + between
    exposed = max(0.0, reduce - 2 / 3 * compute) + reduce * min(1.0, has.bucket / size)
    count = machines * gpus
    slowest = has.spread * compute * math.sqrt(2 * math.log(count))
    images = count * task.batch / (compute + slowest + exposed)
    each = images / machines
    decoders = each / has.decoded if task.picture else 0.0
    read = each * task.picture
    return Step(compute, slowest, reduce, exposed, images, sent, decoders, read)


def memory_of(task: Task, *, adam: bool) -> float:
    """Bytes on a GPU: of the parameters and of the maps."""
    return task.parameters * bytes_a_parameter(adam=adam) + task.batch * task.maps


def bytes_a_parameter(*, adam: bool) -> int:
    """In float32 the weight, its gradient, what the optimizer remembers; in bfloat16 a copy.

    DistributedDataParallel's buckets are the gradients themselves.
    """
    return 4 * (4 if adam else 3) + 2


def most_parameters(memory: float, *, adam: bool) -> float:
    """Parameters that have half of a GPU's memory."""
    return memory / 2 / bytes_a_parameter(adam=adam)


HARDWARE = Hardware()
TASKS = (
    Task("resnet18 at 32 × 32", 11.17e6, 0.555e9, 256, 6e6, 0),
    Task("ResNet-50 at 224 × 224", 25.6e6, 4.1e9, 128, 90e6, 110e3),
    Task("10⁹ parameters at 224 × 224", 1e9, 250e9, 32, 800e6, 110e3),
)
#: Machines and GPUs in each.
CLUSTERS = ((1, 1), (1, 8), (8, 8), (1000, 1), (1000, 8))
PICTURES = 1e9
#: Images a step beyond which networks that are trained from nothing begin to learn worse.
ONE_BATCH = 8192


def _time(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} PB"


def steps_table() -> str:
    """Steps on clusters."""
    lines = [
        "| network | machines × GPUs | images a GPU, a step | compute | slowest | reduce "
        "| not hidden | images a second | efficiency | sent a machine and step |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        lines += [_line(task, machines, gpus) for machines, gpus in CLUSTERS]
    return "\n".join(lines)


def same_batch_table() -> str:
    """Steps of as many images, on ever more GPUs."""
    lines = steps_table().splitlines()[:2]
    for machines, gpus in ((1, 8), (8, 8), (125, 8), (1000, 8)):
        batch = max(1, ONE_BATCH // (machines * gpus))
        lines.append(_line(replace(TASKS[1], batch=batch), machines, gpus))
    return "\n".join(lines)


def _line(task: Task, machines: int, gpus: int) -> str:
    one = step_of(task, machines, gpus, HARDWARE)
    return (
        f"| {task.name} | {machines:,} × {gpus} | {task.batch:,}, "
        f"{machines * gpus * task.batch:,} | {1e3 * one.compute:.1f} ms | "
        f"{1e3 * one.slowest:.1f} ms | {1e3 * one.reduce:.2f} ms | {1e3 * one.exposed:.2f} ms | "
        f"{one.images:,.0f} | {100 * one.efficiency:.0f} % | {_bytes(one.sent)} |"
    )


def pictures_table() -> str:
    """A billion pictures: reading, decoding, time."""
    lines = [
        "| network | machines × GPUs | an epoch | pictures a second and machine | read a machine | "
        "decoding | pictures a machine |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        if not task.picture:
            continue
        for machines, gpus in CLUSTERS:
            one = step_of(task, machines, gpus, HARDWARE)
            lines.append(
                f"| {task.name} | {machines:,} × {gpus} | {_time(PICTURES / one.images)} | "
                f"{one.images / machines:,.0f} | {_bytes(one.read)}/s | "
                f"{one.decoders:,.1f} of {HARDWARE.cores} cores | "
                f"{_bytes(PICTURES / machines * task.picture)} |"
            )
    return "\n".join(lines)


def memory_table() -> str:
    """Bytes on a GPU."""
    lines = [
        "| network, images a GPU | weights, gradients, SGD's momentum | and with Adam | maps "
        "| in all, with Adam |",
        "|---|---|---|---|---|",
    ]
    for task in TASKS:
        maps = task.batch * task.maps
        sgd, adam = (memory_of(task, adam=adam) for adam in (False, True))
        lines.append(
            f"| {task.name}, {task.batch} | {_bytes(sgd - maps)} | {_bytes(adam - maps)} | "
            f"{_bytes(maps)} | {_bytes(adam)} of {_bytes(HARDWARE.memory)} |"
        )
    return "\n".join(lines)


def whole_table() -> str:
    """Parameters that one GPU can hold whole."""
    lines = ["| a GPU's memory | with SGD's momentum | with Adam |", "|---|---|---|"]
    for memory in (24e9, HARDWARE.memory):
        most = [most_parameters(memory, adam=adam) / 1e9 for adam in (False, True)]
        lines.append(f"| {_bytes(memory)} | {most[0]:.2f} · 10⁹ | {most[1]:.2f} · 10⁹ |")
    return "\n".join(lines)


TABLES = {
    "steps": steps_table,
    "same": same_batch_table,
    "billion": pictures_table,
    "memory": memory_table,
    "whole": whole_table,
}


def main() -> None:
    """Print the tables, and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    options = parser.parse_args()
    for name, table in TABLES.items():
        print(f"\n{table()}")
        if options.write:
            write_table("docs/scaling.md", name, table())


if __name__ == "__main__":
    main()

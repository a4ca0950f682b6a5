"""Data-parallel training on one and two processes: time, bytes and memory, beside the formulas.

    python benchmarks/scaling.py [--steps 30] [--rounds 3] [--write]

Networks of several sizes are trained by `neocog.fit(…, engine="torch", device="cpu")` with one
thread a process, alone and by ``torchrun --nproc-per-node 2``, each process with as many images of
a batch as the one alone has. Rounds of both alternate. What is given is the median of the steps.

- Bytes a step are those that the loopback interface counts, of both processes, beside the formula:
  2 · 2 (N − 1) / N · 4 P. On a busy machine others are counted, too.
- Memory is the most that a process has had, beside what it had before the network was made.
- The prediction for two processes is the step of one, plus the time to reduce 4 P bytes. That is
  measured, too: PyTorch's all-reduce by gloo of 1 kB and of 32 MB. Two processes on two cores
  compute at the same time, so nothing is hidden behind the way back.

Both must have the same losses up to rounding, of the same whole batches. Needs Linux, two cores and
PyTorch.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

#: Networks without batch normalization, whose steps do not depend on how a batch is divided: name,
#: channels, and images a process.
SIZES = ((8, 16), (8, 64), (8, 256), (32, 64), (96, 64), (256, 64))
_SMALL, _LARGE = 1 << 10, 1 << 25
_TIMES = 20


def network_of(channels):
    """Three convolutions and a linear layer, whose parameters grow with the channels squared."""
    from neocog.layers import AvgPool2d, Conv2d, Flatten, Linear, ReLU
    from neocog.network import Network

    network = Network(
        input_shape=(3, 16, 16),
        conv1=Conv2d(3, channels, 3, padding=1),
        relu1=ReLU(),
        conv2=Conv2d(channels, channels, 3, stride=2, padding=1),
        relu2=ReLU(),
        conv3=Conv2d(channels, 4 * channels, 3, stride=2, padding=1),
        relu3=ReLU(),
        pool=AvgPool2d(4),
        flatten=Flatten(),
        fc=Linear(4 * channels, 10),
    )
    network.initialize(0)
    return network


def loopback():
    """Bytes that the loopback interface has sent."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    raise SystemExit("There is no loopback interface in /proc/net/dev.")


def child(channels, batch, steps):
    """Train in this process, with others if torchrun began them; rank 0 prints what it took."""
    import neocog
    import neocog.torch_engine.trainer  # before memory is looked at

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch * steps, 16, 16, 3), np.uint8)
    labels = rng.integers(0, 10, len(images))
    network = network_of(channels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent = []

    class Watch(neocog.Callback):
        def epoch_done(self, epoch, history):
            sent.append(loopback())

    history = neocog.fit(
        network,
        neocog.Dataset(images, labels),
        engine="torch",
        device="cpu",
        threads=1,
        batch_size=batch,
        epochs=4,
        optimizer=neocog.SGD(1e-3, momentum=0.9),
        callback=Watch(),
    )
    if os.environ.get("RANK", "0") != "0":
        return
    found = {
        "seconds": statistics.median(epoch.seconds for epoch in history.epochs[1:]) / steps,
        "sent": (sent[-1] - sent[0]) / (len(sent) - 1) / steps,
        "memory": 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before),
        "losses": [epoch.loss for epoch in history.epochs],
        "parameters": network.parameter_count(),
    }
    print("found " + json.dumps(found), flush=True)


def reducing():
    """Seconds of an all-reduce of little and of much, in processes begun by torchrun."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    found = []
    for size in (_SMALL, _LARGE):
        x, taken = torch.zeros(size // 4), []
        for _ in range(_TIMES):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(x)
            taken.append(time.perf_counter() - began)
        found.append(statistics.median(taken))
    if dist.get_rank() == 0:
        print("found " + json.dumps(found), flush=True)
    dist.destroy_process_group()


def run(processes, *arguments):
    """What a child finds, of so many processes."""
    command = [sys.executable, __file__, *map(str, arguments)]
    if processes > 1:
        module = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        command[1:1] = [*module, "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    if len(lines) != 1:
        raise SystemExit(f"{len(lines)} processes have led, and one should: {done.stdout}")
    return json.loads(lines[0].removeprefix("found "))


def measure(options):
    """The table's lines."""
    little, much = run(2, "--reduce")
    speed = (_LARGE - _SMALL) / (much - little)
    lines = [
        f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Linux "
        f"{platform.release()}; PyTorch on the CPU with one thread a process, networks of three "
        f"convolutions at 16 × 16. Medians of {options.rounds} rounds. An all-reduce by two "
        f"processes takes {1e3 * little:.2f} ms, and {1e3 / speed * 1e6:.2f} ms more a MB.",
        "",
        "| parameters | images a process | step, 1 process | step, 2 processes | by the formula | "
        "images a second, times | bytes a step | by the formula | memory, 1 | memory, 2 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    for channels, batch in SIZES:
        runs = {1: [], 2: []}
        for _ in range(options.rounds):
            for processes, found in runs.items():
                sizes = [channels, processes * batch, options.steps]
                found.append(run(processes, "--child", *sizes))
        whole = run(1, "--child", channels, 2 * batch, options.steps)
        near = np.allclose(whole["losses"], runs[2][0]["losses"], rtol=1e-4)
        if not near:
            raise SystemExit(f"The losses differ: {whole['losses']} and {runs[2][0]['losses']}")
        one, two = (statistics.median(r["seconds"] for r in found) for found in runs.values())
        size = 4 * whole["parameters"]
        predicted = one + little + size / speed
        sent = statistics.median(r["sent"] for r in runs[2])
        memory = [statistics.median(r["memory"] for r in found) for found in runs.values()]
        lines.append(
            f"| {whole['parameters']:,} | {batch} | {1e3 * one:.2f} ms | {1e3 * two:.2f} ms | "
            f"{1e3 * predicted:.2f} ms | {2 * one / two:.2f} | {sent / 1e6:.2f} MB | "
            f"{2 * size / 1e6:.2f} MB | {memory[0] / 1e6:.0f} MB | {memory[1] / 1e6:.0f} MB |"
        )
        print(lines[-1], flush=True)
    return lines


def main():
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="of an epoch (default: 30)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/scaling.md")
    parser.add_argument("--child", type=int, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--reduce", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
    elif options.reduce:
        reducing()
    else:
        lines = measure(options)
        if options.write:
            write_table("docs/scaling.md", "measured", "\n".join(lines))


if __name__ == "__main__":
    main()

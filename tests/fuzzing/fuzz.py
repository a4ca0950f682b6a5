"""Fuzzes a reader of files: whatever the bytes, it ends in a result or in a NeocogError.

With Atheris (libFuzzer), which sees what code an input reaches, inputs are searched that reach
more; without it, bytes of good files are changed blindly. A reader that raises anything else, takes
more than ten seconds or more than 1 GiB fails, and the input is kept in the current folder.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from readers import READERS, settle

# Of one input.
LONGEST_SECONDS, MOST_MEGABYTES = 10, 1024
_LONGEST = 2**16


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("reader", choices=READERS, metavar="READER", help=", ".join(READERS))
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--runs", type=int, default=-1, help="most inputs (default: no limit)")
    parser.add_argument("--seed", type=int, default=0, help="0, the default, takes the time's")
    parser.add_argument("--blind", action="store_true", help="without Atheris")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        return _fuzz(given, Path(given.inside))
    with TemporaryDirectory(prefix="neocog-fuzz-") as folder:
        for number, seed in enumerate(READERS[given.reader].seeds()):
            corpus = Path(folder) / "corpus"
            corpus.mkdir(exist_ok=True)
            (corpus / f"seed{number}").write_bytes(seed)
        # A process of its own: libFuzzer ends it.
        command = [sys.executable, __file__, *sys.argv[1:], "--inside", folder]
        code = subprocess.run(command, check=False).returncode
        kept = [one for one in Path(folder).iterdir() if one.name not in ("corpus", "input")]
        for one in kept:
            content = one.read_bytes()
            name = f"fuzz-{given.reader}-{hashlib.sha256(content).hexdigest()[:12]}"
            Path(name).write_bytes(content)
            print(f"The input is kept in {name}.")
    return 1 if kept else code


def _fuzz(given: argparse.Namespace, folder: Path) -> int:
    try:
        import atheris
    except ImportError:
        atheris = None
    if atheris is None or given.blind:
        if not given.blind:
            print("Atheris is not installed (pip install atheris): bytes are changed blindly.")
        return _blindly(given, folder)
    reader = READERS[given.reader]
    with atheris.instrument_imports(include=["neocog"], enable_loader_override=False):
        reader.load()
    options = [
        f"-max_total_time={given.seconds}", f"-runs={given.runs}", f"-max_len={_LONGEST}",
        f"-rss_limit_mb={MOST_MEGABYTES}", f"-timeout={LONGEST_SECONDS}",
        f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    if given.seed:
        options.append(f"-seed={given.seed}")
    atheris.Setup(
        [sys.argv[0], *options, str(folder / "corpus")],
        lambda content: settle(reader, content, folder / "input"),
    )
    atheris.Fuzz()
    return 0


def _blindly(given: argparse.Namespace, folder: Path) -> int:
    _limit_memory()
    reader, random_ = READERS[given.reader], random.Random(given.seed or time.time_ns())
    reader.load()
    seeds = [one.read_bytes() for one in sorted((folder / "corpus").iterdir())]
    end, runs = time.monotonic() + given.seconds, 0
    while time.monotonic() < end and runs != given.runs:
        content = changed(random_.choice(seeds), random_, seeds)
        began = time.process_time()
        try:
            settle(reader, content, folder / "input")
            if time.process_time() - began > LONGEST_SECONDS:
                raise TimeoutError(f"it took more than {LONGEST_SECONDS} seconds")
        except BaseException:
            (folder / "failing").write_bytes(content)
            raise
        runs += 1
    print(f"{runs:,} inputs, each of them settled.")
    return 0


def changed(content: bytes, random_: random.Random, seeds: list[bytes]) -> bytes:
    """Some bytes of a file flipped, cut, repeated, or taken from another file."""
    found = bytearray(content)
    for _ in range(random_.choice((1, 1, 2, 3, 8))):
        at = random_.randrange(len(found) + 1)
        length = random_.choice((1, 1, 2, 4, 8, 64, 1000))
        match random_.randrange(6):
            case 0 | 1 if at < len(found):
                found[at] ^= 1 << random_.randrange(8)
            case 2:
                found[at : at + length] = random_.randbytes(length)
            case 3:
                del found[at : at + length]
            case 4:
                found[at:at] = found[at : at + length] * random_.choice((1, 2, 50))
            case 5:
                other = random_.choice(seeds)
                start = random_.randrange(len(other) + 1)
                found[at : at + length] = other[start : start + length]
    return bytes(found[:_LONGEST])


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    status = Path("/proc/self/statm")
    now = int(status.read_text().split()[0]) * resource.getpagesize() if status.exists() else 2**33
    most = now + MOST_MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    sys.exit(main())

"""What it costs to refuse files, each seen in a process of its own."""

import json
import subprocess
import sys

from neocog.errors import is_plain

# Reads each file that is named, as the command line does, and says what came of it.
READER = """
import gc, json, os, re, sys, tempfile, time
from pathlib import Path
import neocog
from neocog.loading import open_saved
from neocog.settings.recipe import Recipe

def memory(name):
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(name + r":\\s+(\\d+) kB", status)[1])
    except OSError:  # not on every system
        return 0

def read(path):
    try:
        Recipe.load(path) if path.endswith(".toml") else open_saved(path)
    except neocog.NeocogError as error:
        return str(error)

with tempfile.TemporaryDirectory() as folder:
    for suffix in {Path(path).suffix for path in sys.argv[1:]}:
        empty = Path(folder, "empty" + suffix)
        empty.touch()
        read(str(empty))
gc.freeze()
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        before, start = memory("VmRSS"), time.process_time()
        said = read(path)
        seconds, most = time.process_time() - start, memory("VmHWM") - before
        print(json.dumps([path, {"seconds": seconds, "bytes": most, "said": said}]), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("The process that read " + path + " was killed.")
"""


def check_refused(names, folder):
    """Each file is refused by one plain message, within a second and with less than 100 MB.

    The second is of the processor's time for the reading alone, as what else a machine does would
    change the time on a clock. The reader's modules are imported before, by an empty file of each
    kind: what importing takes is no cost of the file. Each file is read by a fork of that process,
    so that no memory which reading one file has left is used again for the next one.
    """
    done = subprocess.run(
        [sys.executable, "-c", READER, *names],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(found) == list(names)
    for name, result in found.items():
        assert result["said"] is not None, f"{name} was read"
        assert is_plain(result["said"]), name
        assert len(result["said"]) < 1500, name
        assert result["seconds"] < 1, f"{name}: {result}"
        assert result["bytes"] < 100e6, f"{name}: {result}"
    return {name: result["said"] for name, result in found.items()}

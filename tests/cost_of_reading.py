"""What it costs to refuse files, seen in a process of its own that reads them all."""

import json
import subprocess
import sys

from neocog.errors import is_plain

# Reads each file that is named, as the command line does, and says what came of it.
READER = """
import json, re, sys, time
import neocog
from neocog.loading import open_saved
from neocog.settings.recipe import Recipe

def memory(name):
    try:
        with open("/proc/self/status") as file:
            return 1024 * int(re.search(name + r":\\s+(\\d+) kB", file.read())[1])
    except OSError:  # not on every system
        return 0

def read(path):
    try:
        Recipe.load(path) if path.endswith(".toml") else open_saved(path)
    except neocog.NeocogError as error:
        return str(error)

for path in sys.argv[1:]:
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the most so far is what there is now
    except OSError:
        pass
    before, start = memory("VmRSS"), time.process_time()
    said = read(path)
    seconds, most = time.process_time() - start, memory("VmHWM") - before
    print(json.dumps([path, {"seconds": seconds, "bytes": most, "said": said}]), flush=True)
"""


def check_refused(names, folder):
    """Each file is refused by one plain message, in about a second and with less than 100 MB.

    The bound on time is two seconds of the processor's, as other tests may slow it down.
    """
    done = subprocess.run(
        [sys.executable, "-c", READER, *names],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(found) == list(names)
    for name, result in found.items():
        assert result["said"] is not None, f"{name} was read"
        assert is_plain(result["said"]), name
        assert len(result["said"]) < 1500, name
        assert result["seconds"] < 2, f"{name}: {result}"
        assert result["bytes"] < 100e6, f"{name}: {result}"
    return {name: result["said"] for name, result in found.items()}

"""What an explanation takes: computing, the page's size, opening it, and answering a pointer.

    python benchmarks/explaining.py [simple-cnn resnet8 …] [--write]

Compiling is out; every figure but the size is the median (least–most) of some runs. Opening is from
the address to the row of layers in Debian's Chromium, headless; a pointer's answer is what one
movement over the first convolution's map takes until everything is laid out again. Before it is
timed, the page's answer is compared with the engine's.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import neocog
from neocog import models
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

_NETWORKS = ["simple-cnn", "resnet8", "resnet18", "efficientnet-lite0", "resnet50-224"]
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_POINT = """() => {
    const hole = [...document.querySelectorAll(".part-view [role=slider] .hole")].at(-1);
    const box = hole.getBoundingClientRect();
    return Array.from({length: 200}, (_, n) => {
        const began = performance.now();
        const place = {clientX: box.left + (n * 37 % 100) / 100 * box.width,
                       clientY: box.top + (n * 61 % 100) / 100 * box.height, bubbles: true};
        hole.dispatchEvent(new PointerEvent("pointermove", place));
        document.body.getBoundingClientRect();
        return performance.now() - began;
    });
}"""


def explained(name):
    """A new network of that name, and an image."""
    network = models.make(name, 10)
    network.initialize(0)
    channels, height, width = network.input_shape
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return network, image


def times_of(do, rounds=5):
    """Milliseconds of some runs, after one that does not count."""
    do()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        do()
        found.append(1e3 * (time.perf_counter() - began))
    return found


def spread(times):
    """Median (least–most)."""
    return f"{statistics.median(times):,.1f} ({min(times):,.1f}–{max(times):,.1f})"


def row(name, browser):
    """One network's row."""
    network, image = explained(name)
    arrays = times_of(lambda: neocog.explain(network, image))
    whole = times_of(lambda: page(pack(neocog.explain(network, image))), 3)
    text = page(pack(neocog.explain(network, image)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        opening = []
        for _ in range(3):
            tab = browser.new_page(viewport={"width": 1280, "height": 1000})
            began = time.perf_counter()
            tab.goto(path.as_uri())
            tab.wait_for_selector(".strip")
            opening.append(1e3 * (time.perf_counter() - began))
            pointing = tab.evaluate(_POINT)
            answer = tab.locator("[data-formula=convolution]")
            result = float(answer.locator("[data-result]").get_attribute("data-result"))
            engine = float(answer.locator("[data-engine]").get_attribute("data-engine"))
            assert abs(result - engine) < 1e-4, (result, engine)
            tab.close()
    return (
        f"| {name} | {spread(arrays)} | {spread(whole)} | {len(text) / 1e6:.2f} | "
        f"{spread(opening)} | {statistics.median(pointing):.1f} "
        f"({np.quantile(pointing, 0.95):.1f}) |"
    )


def main():
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=_NETWORKS)
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=_ARGUMENTS
        )
        lines = [
            f"Chromium {browser.version}, headless; milliseconds, medians (least–most).",
            "",
            "| network | `explain` | with the whole page | page, MB | opening it | a pointer's "
            "answer (95 %) |",
            "|---|---|---|---|---|---|",
        ]
        print(*lines, sep="\n")
        for name in options.networks:
            lines.append(row(name, browser))
            print(lines[-1], flush=True)
        browser.close()
    if options.write:
        write_table("docs/explaining.md", "explaining", "\n".join(lines))


if __name__ == "__main__":
    main()

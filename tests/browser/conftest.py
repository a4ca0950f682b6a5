"""A real browser, without which these tests are skipped; what they see is kept as artifacts."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from explorer_pages import DATA
from exploring import served
from graph_networks import of_many_inputs

import neocog
from neocog import models
from neocog.explanation import explain
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack
from neocog.explanation.page.top_activations import top_activation_sprites
from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Mish,
    ReflectionPad2d,
    ReLU6,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.network import Network

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Tab:
    """A page, and all that it complained of or asked the network for."""

    def __init__(self, page):
        self.page = page
        self.troubles = []
        self.requests = []
        page.set_default_timeout(30_000)
        page.on(
            "console", lambda m: m.type in ("error", "warning") and self.troubles.append(m.text)
        )
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def layer(self, name):
        self.page.click(f'[data-layer="{name}"]')

    def backward(self):
        self.page.get_by_role("button", name="Backward").click()

    def point(self, label, row, column):
        """Put the pointer on a number of a grid, found by the beginning of its label."""
        hole = self.page.locator(f'[role=slider][aria-label^="{label}"] .hole')
        hole.scroll_into_view_if_needed()
        box = hole.bounding_box()
        size = hole.locator("canvas").evaluate("c => [c.width, c.height]")
        edge = hole.locator(".edge").evaluate("e => [e.offsetLeft, e.offsetTop, e.hidden]")
        left, top = (0, 0) if edge[2] else (edge[0] / box["width"], edge[1] / box["height"])
        x = box["x"] + box["width"] * (left + (column + 0.5) / size[0])
        y = box["y"] + box["height"] * (top + (row + 0.5) / size[1])
        self.page.mouse.move(x, y)

    def values(self, selector):
        """The full numbers behind what is written in some cells."""
        return self.page.eval_on_selector_all(
            f"{selector} [data-value]", "cells => cells.map((c) => Number(c.dataset.value))"
        )

    def results(self):
        """What the page calculated and what the engine did, wherever both are shown."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll("[data-formula]")].map((formula) => {
                const results = [...formula.querySelectorAll("[data-result]")];
                const engines = [...formula.querySelectorAll("[data-engine]")];
                return [formula.dataset.formula, results.at(-1)?.dataset.result,
                        engines.at(-1)?.dataset.engine];
            }).filter(([, result, engine]) => result !== undefined && engine !== undefined)
              .map(([name, result, engine]) => [name, Number(result), Number(engine)])"""
        )

    def keep(self, name):
        """A screenshot among the artifacts, if they are wanted."""
        folder = os.environ.get("NEOCOG_ARTIFACTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def tab(chromium):
    """Opens tabs, and sees at the end that none complained."""
    contexts, tabs = [], []

    def open_(address, *, width=1280, dark=False, complains=False, ready=".strip"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        found = Tab(context.new_page())
        if not complains:  # a browser writes every refusal of a server to its console
            tabs.append(found)
        found.page.goto(address)
        found.page.wait_for_selector(ready, timeout=120_000)
        return found

    yield open_
    troubles = [trouble for each in tabs for trouble in each.troubles]
    for context in contexts:
        context.close()
    assert troubles == []


def every_kind():
    """Every kind of layer, with unusual geometry, and channels that only some of see each other."""
    return Network(
        input_shape=(2, 13, 11),
        classes=("one", "two", "three"),
        conv1=Conv2d(2, 6, (3, 2), stride=(1, 2), padding=(2, 1)),
        tanh=Tanh(),
        block=Residual(
            Sequential(
                conv=Conv2d(6, 6, 3, padding="same", dilation=2, groups=3, bias=False),
                norm=BatchNorm2d(6),
                gelu=GELU(),
            ),
            Conv2d(6, 6, 1),
        ),
        leaky=LeakyReLU(0.1),
        average=AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
        inner=Residual(Conv2d(6, 6, 3, padding=1)),
        gelu=GELU("tanh"),
        most=MaxPool2d(2, stride=1, padding=1),
        larger=Upsample(scale_factor=(2, 1)),
        padded=ReflectionPad2d((1, 0, 0, 2)),
        zeros=ZeroPad2d((0, 1, 0, 0)),
        depth=Conv2d(6, 20, 3, padding=1, padding_mode="replicate"),
        parts=AdaptiveAvgPool2d((5, 3)),
        silu=SiLU(),
        mish=Mish(),
        softplus=Softplus(1.5, 8.0),
        elu=ELU(0.5),
        swish=Hardswish(),
        six=ReLU6(),
        gate=Hardsigmoid(),
        pool=AdaptiveMaxPool2d(),
        flatten=Flatten(),
        fc1=Linear(20, 7),
        sigmoid=Sigmoid(),
        fc2=Linear(7, 3, bias=False),
        scale=Scale(2.5),
    )


@pytest.fixture(scope="session")
def every_kind_explained():
    network = every_kind()
    network.initialize(3)
    state, rng = network.state_dict(), np.random.default_rng(0)
    state["block.body.norm.running_mean"] = rng.normal(size=6).astype(np.float32) / 4
    state["block.body.norm.running_var"] = rng.uniform(0.25, 2, 6).astype(np.float32)
    network.load_state_dict(state)
    return explain(network, rng.integers(0, 256, (13, 11, 2), np.uint8), "two")


@pytest.fixture(scope="session")
def trained():
    """The note's network after an epoch on shapes, an image of them, and the data."""
    data = neocog.load_data("shapes")
    network = models.simple_cnn()
    neocog.fit(network, data.train[:2000], epochs=1, classes=data.classes)
    return network, data


@pytest.fixture(scope="session")
def explained(trained):
    network, data = trained
    return explain(network, data.test.images[5], int(data.test.labels[5]))


@pytest.fixture(scope="session")
def note(trained, explained, tmp_path_factory):
    """The page of the note's network, as an address."""
    _, data = trained
    path = tmp_path_factory.mktemp("page") / "note.html"
    path.write_text(
        page(pack(explained, filters=top_activation_sprites(explained, data.train, images=200)))
    )
    return path.as_uri()


@pytest.fixture(scope="session")
def all_kinds(every_kind_explained, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "all.html"
    path.write_text(page(pack(every_kind_explained)))
    return path.as_uri()


@pytest.fixture(scope="session")
def graph_explained():
    """A network that is no chain, with slopes and scales that differ."""
    network = of_many_inputs()
    network.initialize(3)
    state, rng = network.state_dict(), np.random.default_rng(0)
    for name, value in state.items():
        if value.ndim == 1:
            state[name] = rng.normal(0.4, 0.5, len(value)).astype(np.float32)
    network.load_state_dict(state)
    return explain(network, rng.integers(0, 256, (6, 5, 3), np.uint8), 1)


@pytest.fixture(scope="session")
def graph(graph_explained, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "graph.html"
    path.write_text(page(pack(graph_explained)))
    return path.as_uri()


@pytest.fixture
def server():
    network = neocog.models.simple_cnn()
    network.initialize(0)
    with served(network, DATA) as page:
        yield page


@pytest.fixture
def address(server):
    return server.address

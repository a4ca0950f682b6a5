"""What all pages have in common: their colors, and policies that name their own style."""

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog import models
from neocog.data.check import check_data
from neocog.data.check.page import page as check_page
from neocog.explanation.page import page_of
from neocog.pages import shared_style, source_hash
from neocog.report import write_report
from neocog.web.page import page as explorer_page

PACKAGE = Path(neocog.__file__).parent


def explanation_page(_):
    network = models.simple_cnn()
    network.initialize(0)
    return page_of(neocog.explain(network, np.zeros((32, 32, 3), np.uint8)))


def check_page_of_two(folder):
    for name in ("a", "b"):
        (folder / name).mkdir()
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name / "1.png")
    return check_page(check_data(folder))


def run_page(folder):
    write_report(folder / "report.html", title="a run")
    return (folder / "report.html").read_text(encoding="utf-8")


PAGES = {
    "explain": explanation_page,
    "check": check_page_of_two,
    "report": run_page,
    "explore": lambda _: explorer_page(),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_begins_with_the_shared_style(name, tmp_path):
    text = PAGES[name](tmp_path)
    style = (PACKAGE / "pages/style.css").read_text(encoding="utf-8")
    assert f"<style>{style}" in text
    assert text.count("--accent: #1f5fae") == 1  # light
    assert text.count("--accent: #86b6f5") == 1  # dark


@pytest.mark.parametrize("name", ["explain", "check", "report"])
def test_the_policy_allows_the_style_that_the_page_has(name, tmp_path):
    text = PAGES[name](tmp_path)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in text


def test_the_hash_of_a_source():
    # printf abc | openssl dgst -sha256 -binary | base64
    assert source_hash("abc") == "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='"


def test_the_shared_style_is_in_the_package():
    assert shared_style().startswith(":root {")

"""The page's program: nothing else runs, names are text, and it is small."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import neocog
from neocog import models
from neocog.explanation import explain
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack


def test_names_are_text_and_no_program(tab, tmp_path, trained):
    _, data = trained
    network = models.simple_cnn(2)
    network.initialize(0)
    evil = ("</script><script>document.title='taken'</script>", "<img src=x onerror=alert(1)>")
    network.name_classes(evil)
    file = tmp_path / "evil.html"
    file.write_text(page(pack(explain(network, data.test.images[0], 0), attributions=False)))
    open_ = tab(file.as_uri())
    assert "taken" not in open_.page.title().split("document")[0]
    assert evil[0] in open_.page.locator("main").inner_text()


def test_nothing_runs_but_its_own_script(tab, note, tmp_path):
    """If a name were ever written as HTML, the page's policy would still keep it from acting."""
    text = Path(note.removeprefix("file://")).read_text(encoding="utf-8")
    got_in = (
        '<p class="in" style="width: 7px">in</p><style>.in { width: 8px }</style>'
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    )
    file = tmp_path / "got-in.html"
    file.write_text(text.replace("<body>", f"<body>{got_in}"), encoding="utf-8")
    open_ = tab(file.as_uri(), complains=True)
    assert open_.page.locator("p.in").evaluate("p => p.getBoundingClientRect().width") > 8
    assert open_.page.title() != "taken"
    assert len([each for each in open_.troubles if "Content Security Policy" in each]) >= 4


def test_modules_have_no_syntax_errors_and_no_double_imports():
    """What Node says of each, where there is a Node; the bundle is tried by every test above."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node")
    folder = Path(neocog.__file__).parent / "explanation" / "page" / "static"
    files = sorted(folder.rglob("*.js"))
    assert len(files) > 10
    for file in files:
        source = file.read_text()
        assert "</script" not in source
        command = [node, "--check", "--input-type=module"]
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        assert done.returncode == 0, f"{file.name}: {done.stderr}"


def test_the_page_is_small(note):
    path = Path(note.removeprefix("file://"))
    assert path.stat().st_size < 5_000_000
    structure = json.loads(path.read_text().split('id="structure">')[1].split("</script>")[0])
    assert structure["name"] == "simple-cnn"

"""What passes between a command and the terminal or pipe that it prints to."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neocog.cli import main
from neocog.cli.terminal import Output, drawing, guarded_output, say

PACKAGE = Path(__file__).parent.parent


class Kept(io.TextIOWrapper):
    """A stream of an encoding that keeps what is written."""

    def __init__(self, encoding="utf-8", errors="strict"):
        super().__init__(io.BytesIO(), encoding=encoding, errors=errors, newline="")

    @property
    def content(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\x1b[2J\x1b]0;title\x07\r\n", "cat\\x1b[2J\\x1b]0;title\\x07\\r\n"),
        ("\u202egnp.exe\u2028", "\\u202egnp.exe\\u2028"),
        ("\x9b31m\x7f\b", "\\x9b31m\\x7f\\x08"),
        ("a\tb\nкот 猫 👩‍🔬\n", "a\tb\nкот 猫 👩‍🔬\n"),
    ],
)
def test_escape_sequences_do_nothing(text, shown):
    stream = Kept()
    print(text, end="", file=Output(stream))
    assert stream.content.decode() == shown


def test_what_draws_may_use_them():
    stream = Kept()
    print("\r\x1b[K", end="", file=Output(stream, draws=True))
    assert stream.content == b"\r\x1b[K"


@pytest.mark.parametrize(
    ("encoding", "errors", "shown"),
    [
        ("ascii", "strict", b"3 x 32 - ... ??? \\x07"),
        ("cp1252", "strict", b"3 \xd7 32 \x96 \x85 ??? \\x07"),
        ("ascii", "backslashreplace", b"3 x 32 - ... ??? \\x07"),
        ("utf-8", "strict", "3 × 32 – … кот \\x07".encode()),
    ],
)
def test_characters_that_the_encoding_lacks(encoding, errors, shown):
    stream = Kept(encoding, errors)
    print("3 × 32 – … кот \a", end="", file=Output(stream))
    assert stream.content == shown


def test_names_of_files_that_are_no_text():
    name = b"\xd0\xba.png".decode("ascii", "surrogateescape")
    for errors, shown in (("surrogateescape", b"\xd0\xba.png x"), ("strict", b"??.png x")):
        stream = Kept("ascii", errors)
        print(f"{name} ×", end="", file=Output(stream))
        assert stream.content == shown


class Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.failing = error

    def write(self, _text):
        raise self.failing


@pytest.mark.parametrize(
    ("error", "code"),
    [(BrokenPipeError(32, "Broken pipe"), 141), (OSError(28, "full"), 1), (ValueError("shut"), 1)],
)
def test_an_output_that_fails_ends_nothing(error, code):
    output = Output(Broken(error))
    assert output.exit_code == 0
    for _ in range(3):
        print("a line", file=output, flush=True)
    assert output.error is error
    assert output.exit_code == code


def test_no_output_at_all():
    output = Output(None)
    print("a line", file=output, flush=True)
    assert (output.error, output.isatty(), output.exit_code) == (None, False, 0)


def test_both_are_guarded_for_a_while(monkeypatch):
    out, err = Kept(), Kept()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    with guarded_output():
        sys.stdout.write("result\a\n")
        say("\x1bnote")
        print("\rline", end="", file=drawing())
    assert (sys.stdout, sys.stderr) == (out, err)
    assert (out.content, err.content) == (b"result\\x07\n", b"\\x1bnote\n\rline")


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Broken(OSError(28, "No space left on device")))
    assert main(["models"]) == 1
    assert capsys.readouterr().err == (
        "neocog: the output cannot be written: No space left on device.\n"
    )


posix = pytest.mark.skipif(sys.platform == "win32", reason="shells and pipes as on POSIX")


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    neocog = f"'{sys.executable}' -m neocog"
    return subprocess.run(
        ["bash", "-c", line.replace("neocog", neocog, 1)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **variables},
    )


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_told_by_the_exit_code_alone(unbuffered):
    line = "exec 2>&1; neocog --help | true; echo ${PIPESTATUS[0]}"
    assert shell(line, PYTHONUNBUFFERED=unbuffered).stdout == "141\n"


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_in_one_line(unbuffered):
    done = shell("neocog --help >/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr == "neocog: the output cannot be written: No space left on device.\n"


@posix
def test_closed_descriptors_are_nowhere():
    done = shell("neocog --help <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@posix
def test_files_do_not_get_the_numbers_of_closed_descriptors(tmp_path):
    script = (
        "import os, sys; from neocog.cli.terminal import guarded_output\n"
        "with guarded_output(): print(open(sys.argv[1], 'w').fileno(), file=open('n', 'w'))\n"
    )
    line = f"cd '{tmp_path}'; '{sys.executable}' -c \"{script}\" file >&- 2>&- <&-"
    subprocess.run(["bash", "-c", line], check=True, env=os.environ | {"PYTHONPATH": str(PACKAGE)})
    assert int((tmp_path / "n").read_text()) > 2

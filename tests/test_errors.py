"""Text from files, as messages show it."""

import pytest

from neocog.errors import is_plain, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1.weight", "conv1.weight"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("two\nlines\r\n\ttab", r"two\nlines\r\n\ttab"),
        ("\x7f\x85\x9b2J", r"\x7f\x85\x9b2J"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\u202eexe.gnp\u2066\u2069", r"\u202eexe.gnp\u2066\u2069"),
        ("\ud83d alone", r"\ud83d alone"),
        ("\0", r"\x00"),
        # Ordinary spelling: a Persian word, a French one, an emoji of three characters.
        *[(word, word) for word in ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
                                    "Fl\u00fbte\u00a0!", "\U0001f468\u200d\U0001f692")],
    ],
)  # fmt: skip
def test_controls_are_escaped_and_letters_are_not(text, shown):
    assert printable(text) == shown
    assert is_plain(text) == (text == shown)
    printable(text).encode()


def test_long_text_is_cut():
    assert printable("a" * 100) == "a" * 100
    assert printable("a" * 101) == "a" * 100 + "…"
    assert printable("\x1b" * 10_000_000, 2) == r"\x1b\x1b…"

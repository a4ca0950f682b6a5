"""The spelling is American, in code, texts and pages, as in the libraries that users know."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: The folders and the kinds of files that are read; beside them the texts at the root.
FOLDERS = ("neocog", "tests", "benchmarks", "scripts", "docs", "dev")
ENDINGS = {".py", ".js", ".css", ".html", ".toml", ".md", ""}

# Verbs whose British forms end in -ise, -ising, -isation; other words have some of these letters.
_VERBS = (
    "optim initial normal renormal recogn orthogonal vector parameter summar organ general minim "
    "maxim standard regular quant serial synchron random util visual memor priorit categor custom "
    "final local penal stabil token linear poster equal binar capital author factor discret raster "
    "material"
)
_NOUNS = "col behavi neighb fav hon flav rum lab hum"
_DOUBLED = "label cancel model travel signal level channel total"
_OTHERS = (
    "centre centred centring fibre artefact grey catalogue licence defence judgement programme "
    "analyse analysed analysing spelt misspelt learnt burnt towards whilst amongst sceptic "
    "practise practised skilful"
)

BRITISH = re.compile(
    "|".join(
        (
            rf"(?:{'|'.join(_VERBS.split())})is(?:e|ed|es|er|ers|ing|ation|ations|able)(?![a-z])",
            rf"(?:{'|'.join(_NOUNS.split())})our(?:s|ed|ing|able|ite|hood|ful|less)?(?![a-z])",
            rf"(?:{'|'.join(_DOUBLED.split())})l(?:ed|ing)(?![a-z])",
            rf"(?<![a-z])(?:{'|'.join(_OTHERS.split())})s?(?![a-z])",
        )
    ),
    re.IGNORECASE,
)


#: Names of Python's own.
GIVEN = "CancelledError"

# camelCase and snake_case are taken apart.
WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")


@cache
def is_british(word):
    return BRITISH.search(word) is not None


def british(text):
    """The British words of a text, in their order."""
    return [word for word in WORD.findall(text.replace(GIVEN, "")) if is_british(word)]


def files():
    for path in ROOT.iterdir():
        if path.suffix in {".md", ".toml"}:
            yield path
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in ENDINGS and path != Path(__file__):
                yield path


def test_the_spelling_is_american():
    wrong = {
        str(path.relative_to(ROOT)): words
        for path in files()
        if (words := british(path.read_text(encoding="utf-8")))
    }
    assert not wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the optimiser's state", ["optimiser"]),
        ("def renormalised(colour):", ["renormalised", "colour"]),
        ("onColours(greyPicture)", ["Colours", "grey"]),
        ("batch_normalisation, neighbours", ["normalisation", "neighbours"]),
        (
            "mislabelled, modelling, centred, towards",
            ["mislabelled", "modelling", "centred", "towards"],
        ),
        ("aria-labelledby raise noise promise otherwise four hour analysis license centers", []),
        ("labeled colors of optimizers, in the gray center, analyzed", []),
    ],
)
def test_british_words_are_found(text, words):
    assert british(text) == words

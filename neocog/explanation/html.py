"""The page: one HTML file that holds its style, its program and its numbers.

The program is written as ES modules, one concept a file, in ``page/``. Here they become one script:
every module a function that gives what it exports, called after those that it imports. A bundler
would do more than is needed and would have to be installed.
"""

import base64
import hashlib
import html
import json
import re
import zlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from neocog.explanation.message import to_json
from neocog.explanation.payload import Packed

__all__ = ["bundle", "page", "policy"]

_OWN = "neocog.explanation"
# Bytes.
_LARGE = 4_000_000
_META = '<meta http-equiv="Content-Security-Policy" content="{}">'
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def page(
    packed: Packed | None, *, package: str = _OWN, entry: str = "main.js", title: str | None = None
) -> str:
    """The page as text.

    Args:
        packed: what it shows; None if its program fetches that.
        package: whose ``page/`` has its program, and a style of its own if it is not this one.
        entry: the program's first module.
        title: of the window.
    """
    values = {
        "title": html.escape(title or _title(packed)),
        # What is served has its policy in the reply's head, which can say more.
        "policy": "" if packed is None else _META.format(policy(entry, package)),
        "style": _style(package),
        "structure": "null",
        "block": "",
        "script": bundle(entry, package),
    }
    if packed is not None:
        # A "<" in a name must not end the script that holds it.
        values["structure"] = to_json(packed.structure).decode().replace("<", "\\u003c")
        # Numbers of a network hardly become smaller: level 1 saves a sixth in a fifth of level 6's
        # time, and of a large network's page, which would take half a second, nothing.
        level = 1 if len(packed.block) < _LARGE else 0
        values["block"] = base64.b64encode(zlib.compress(packed.block, level)).decode()
    template = _text(files(_OWN) / "page" / "page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


def policy(entry: str = "main.js", package: str = _OWN) -> str:
    """A Content-Security-Policy: such a page runs its own script, and none that got in.

    A name that a file brings is written as text anyway; this is for the day when one is not.
    """
    script, style = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (bundle(entry, package), _style(package))
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _style(package: str) -> str:
    return "".join(_text(folder / "style.css") for folder in reversed(_folders(package)))


def _folders(package: str) -> list[Traversable]:
    """Where a package's modules are looked for: its own folder first, then this one's."""
    return [files(name) / "page" for name in dict.fromkeys([package, _OWN])]


def _title(packed: Packed | None) -> str:
    if packed is None:
        return "neocog"
    structure = packed.structure
    return f"{structure['name']}: {structure['classes'][structure['predicted']]} — neocog"


@cache
def bundle(entry: str, package: str = _OWN) -> str:
    """One script of a module and all that it imports, from the ``page/`` of some packages.

    A module that `package` has not is taken from this one.
    """
    folders = _folders(package)
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in parts:
            return
        parts[name] = ""  # a circle of imports would be seen as a name that is not there
        source = _text(next(f / name for f in folders if (f / name).is_file()))
        for match in _IMPORT.finditer(source):
            add(match[2])
        body = _IMPORT.sub(lambda m: f"const {m[1]} = modules[{json.dumps(m[2])}];\n", source)
        names = ", ".join(match[2] for match in _EXPORT.finditer(body))
        body = _EXPORT.sub(r"\1", body)
        del parts[name]  # so that it stands behind what it imports
        parts[name] = (
            f"modules[{json.dumps(name)}] = (() => {{\n{body}\nreturn {{ {names} }};\n}})();\n"
        )

    add(entry)
    return "const modules = {};\n" + "".join(parts.values())


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")

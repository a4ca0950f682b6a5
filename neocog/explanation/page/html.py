"""The page: one HTML file that holds its style, its program and its numbers.

The program is written as ES modules, one concept a file, in ``static/``. Here they become one
script: each module is a function that returns its exports, called after the modules that it
imports. A bundler would do more than is needed and would have to be installed.
"""

import base64
import html
import json
import re
import zlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from neocog.explanation.page.message import to_json
from neocog.explanation.page.payload import Packed
from neocog.pages import shared_style, source_hash

__all__ = ["bundle", "page", "policy"]

_OWN = "neocog.explanation.page"
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
        packed: what it shows; None if the program fetches that itself.
        package: the package whose ``static/`` has the program. If it is another one than this, its
            style is added to this one's, and modules that it lacks are taken from this one.
        entry: the program's first module.
        title: of the window; None for the network's name and its prediction.
    """
    values = {
        "title": html.escape(title or _title(packed)),
        # A served page has its policy in the response's header, which can say more.
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
        # time. On a large network's page it would take half a second and save nothing.
        level = 1 if len(packed.block) < _LARGE else 0
        values["block"] = base64.b64encode(zlib.compress(packed.block, level)).decode()
    template = _text(files(_OWN) / "static" / "page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


def policy(entry: str = "main.js", package: str = _OWN) -> str:
    """A Content-Security-Policy under which the page runs its own script and no other.

    Names from files are escaped anyway; this guards against one that was forgotten.
    """
    script, style = source_hash(bundle(entry, package)), source_hash(_style(package))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _style(package: str) -> str:
    own = (_text(folder / "style.css") for folder in reversed(_folders(package)))
    return shared_style() + "".join(own)


def _folders(package: str) -> list[Traversable]:
    """The folders in which a package's modules are looked for: its own first, then this one's."""
    return [files(name) / "static" for name in dict.fromkeys([package, _OWN])]


def _title(packed: Packed | None) -> str:
    if packed is None:
        return "neocog"
    structure = packed.structure
    return f"{structure['name']}: {structure['answer']} — neocog"


@cache
def bundle(entry: str, package: str = _OWN) -> str:
    """One script of a module and everything that it imports, from the ``static/`` of a package.

    A module that `package` lacks is taken from this package.
    """
    folders = _folders(package)
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in parts:
            return
        parts[name] = ""  # in a circle of imports, a name would be undefined
        source = _text(next(f / name for f in folders if (f / name).is_file()))
        for match in _IMPORT.finditer(source):
            add(match[2])
        body = _IMPORT.sub(lambda m: f"const {m[1]} = modules[{json.dumps(m[2])}];\n", source)
        names = ", ".join(match[2] for match in _EXPORT.finditer(body))
        body = _EXPORT.sub(r"\1", body)
        del parts[name]  # and added again, behind the modules that it imports
        parts[name] = (
            f"modules[{json.dumps(name)}] = (() => {{\n{body}\nreturn {{ {names} }};\n}})();\n"
        )

    add(entry)
    return "const modules = {};\n" + "".join(parts.values())


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")

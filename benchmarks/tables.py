"""Put a table into a Markdown file, between the two comments that name it."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write_table(file: str, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    path = ROOT / file
    before = path.read_text()
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    after, found = pattern.subn(lambda m: m[1] + text.rstrip() + "\n" + m[2], before)
    if found != 1:
        raise SystemExit(f"{file} has no place for the table {name!r}.")
    path.write_text(after)

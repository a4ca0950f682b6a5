"""docs/settings.md: its tables say what the settings themselves say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "settings.md"


def test_the_page_is_current() -> None:
    script = ROOT / "scripts" / "settings_page"

    written = subprocess.run(
        [sys.executable, script], cwd=ROOT, capture_output=True, check=True, timeout=60
    ).stdout.decode()

    message = "docs/settings.md is not what the settings say: run scripts/settings_page --write"
    assert written == PAGE.read_text(encoding="utf-8"), message


def test_the_page_has_a_setting_with_all_that_is_said_of_it() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `betas`")]

    assert "`(0.9, 0.999)`" in rows[-1]
    assert "two numbers, at least 0 and below 1" in rows[-1]
    assert "`--optimizer.betas`" in rows[-1]

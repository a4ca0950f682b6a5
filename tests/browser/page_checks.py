"""What is checked of every page: its width and its accessibility."""

import os
from pathlib import Path

#: The accessibility checker's program, if it is here.
AXE = Path(os.environ["NEOCOG_AXE"]) if os.environ.get("NEOCOG_AXE") else None


#: Widths of telephones' windows.
NARROW = (440, 400, 360, 320)


def too_wide(open_):
    """What reaches beyond the window, but for what scrolls by itself; all of it, if it scrolls."""
    return open_.page.evaluate(
        """() => {
            const { clientWidth, scrollWidth } = document.documentElement;
            const scrolls = (e) => e && (getComputedStyle(e).overflowX !== "visible" ||
                scrolls(e.parentElement));
            const found = [...document.querySelectorAll("main *")].filter((e) =>
                e.getBoundingClientRect().right > clientWidth + 0.5 && !scrolls(e.parentElement));
            return [...found.map((e) => e.outerHTML.slice(0, 80)),
                ...(scrollWidth > clientWidth ? [`${scrollWidth} > ${clientWidth}`] : [])];
        }"""
    )


def serious(open_, where):
    """What the checker finds in a part of the page that keeps people out."""
    found = open_.page.evaluate("where => axe.run(where, {resultTypes: ['violations']})", where)
    return [
        f"{violation['id']}: {node['html'][:120]} {[one['message'] for one in node['any']]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]

"""The report of a run: one page for people, with curves, mistakes in pictures, and settings.

`report` gathers what the page shows from plain values, a part in each module, and the program in
`static/` draws it; `run` does so for the folder of a run.
"""

from neocog.report.report import write_report

__all__ = ["write_report"]

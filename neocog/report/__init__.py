"""The report of a run: a page with curves, the confusion matrix, mistakes, and settings.

`report` makes the page from plain values, each part in a module of its own, and the script in
`static/` draws it; `run` does so for a run folder.
"""

from neocog.report.report import write_report

__all__ = ["write_report"]

"""Python in processes of their own, which import from where the tests do."""

import os
import sys


def environment(**more):
    """This process's variables, with its path for imports: that of tests is set by pytest."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}

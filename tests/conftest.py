"""What holds for all tests."""

import os

# The tests already run in as many processes as there are cores.
os.environ.setdefault("NEOCOG_COMPILERS", "1")

"""``python -m neocog`` is ``neocog``."""

import sys

from neocog.cli import main

if __name__ == "__main__":
    sys.exit(main())

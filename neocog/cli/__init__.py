"""The command line: each command parses, calls one public function, and prints.

Results go to stdout, all else to stderr. Parsing imports neither NumPy nor Numba, so that help is
there at once; argparse for the same reason: cyclopts, whose help is nicer, takes 0.36 s to show it.
"""

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl+C."""
    from neocog.cli.parser import parse
    from neocog.errors import NeocogError

    command = parse(arguments)
    try:
        return command()
    except NeocogError as error:
        print(f"neocog: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("neocog: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has left; closing stderr's twin keeps Python from saying so.
        sys.stderr.close()
        return 1

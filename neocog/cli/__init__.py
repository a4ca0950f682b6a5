"""The command line: each command parses, calls one public function, and prints.

Results go to stdout, all else to stderr. Parsing imports neither NumPy nor Numba, so that help is
there at once; argparse for the same reason: cyclopts, whose help is nicer, takes 0.36 s to show it.
"""

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code.

    0, 1 for an error, 2 for usage; 130 for Ctrl+C, 143 for SIGTERM, 129 for SIGHUP; 141 where all
    went well but for the reader of the output, who has left.
    """
    from neocog.cli.terminal import guarded_output
    from neocog.signals import termination_signals

    with termination_signals(), guarded_output() as output:
        code = _run(arguments)
        output.flush()
        if code == 0 and output.error is not None:
            code = output.exit_code
            if not isinstance(output.error, BrokenPipeError):
                why = getattr(output.error, "strerror", None) or output.error
                print(f"neocog: the output cannot be written: {why}.", file=sys.stderr)
    return code


def _run(arguments: list[str] | None) -> int:
    from neocog.cli.parser import parse
    from neocog.errors import NeocogError
    from neocog.signals import exit_code

    try:
        command = parse(arguments)
        return command()
    except SystemExit as stop:  # argparse's, after help or an error in usage
        return stop.code if isinstance(stop.code, int) else 1
    except NeocogError as error:
        print(f"neocog: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(
            "neocog: this process cannot get the memory that this takes. Close other programs, or "
            "take a smaller network or batch.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt as error:
        code = exit_code(error)
        print("neocog: interrupted." if code == 130 else f"neocog: {error}.", file=sys.stderr)
        return code

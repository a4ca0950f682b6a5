"""The command line: each command parses its arguments, calls one public function, and prints.

Results go to stdout, everything else to stderr. Parsing imports neither NumPy nor Numba, so that
help appears at once. For the same reason the parser is argparse's: cyclopts, whose help is nicer,
takes 0.36 s to show it.
"""

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 is success, 1 an error, 2 wrong usage; 130 is Ctrl+C, 143 SIGTERM, 129 SIGHUP; 141 means that
    all went well but the reader of the output has closed the pipe.
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
    except SystemExit as stop:  # argparse raises it after help or wrong usage
        return stop.code if isinstance(stop.code, int) else 1
    except NeocogError as error:
        print(f"neocog: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(
            "neocog: there is not enough memory for this. Close other programs, or take a smaller "
            "network or batch.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt as error:
        code = exit_code(error)
        print("neocog: interrupted." if code == 130 else f"neocog: {error}.", file=sys.stderr)
        return code

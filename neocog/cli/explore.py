"""``neocog explore``."""

import contextlib
import os
import tempfile
import threading
import webbrowser
from pathlib import Path

from neocog.cli.terminal import is_terminal, loading_progress, say
from neocog.loading import open_network
from neocog.settings.training import check_threads
from neocog.web import Server, Session, is_loopback
from neocog.web.door import leading_to

__all__ = ["explore"]

# Where browsers may be installed that have a /tmp of their own, but see what is not hidden at home.
_SNAPS = Path("/snap")


def explore(
    model: str | None,
    data: str | None,
    host: str,
    port: int,
    no_browser: bool,
    threads: int | None,
    architecture: str | None = None,
) -> int:
    """Serve the page until Ctrl+C; print its address."""
    check_threads(threads)
    with contextlib.ExitStack() as ending:
        # First, as a port that is taken is wrong at once; what asks now waits until it is served.
        server = Server(host, port)
        ending.callback(server.server_close)
        opened = open_network(model, data, loading_progress(), architecture)
        for note in opened.notes:
            say(note)
        if opened.data is None:
            say("Pictures can be uploaded; to train, name the data with --data.")
        if not is_loopback(host):
            say(
                f"Whoever reaches {server.origin} and has the address with its token can see and "
                "change all; it goes over the network unencrypted."
            )
        say("Preparing the network (its kernels are compiled the first time) …")
        session = Session(opened.network, opened.data, opened.name, threads=threads)
        ending.callback(session.close)
        print(server.address, flush=True)
        say("Stop with Ctrl+C.")
        if is_terminal() and not no_browser:
            _open_browser(server.address, ending)
        server.serve(session)
    return 0


def _open_browser(address: str, ending: contextlib.ExitStack) -> None:
    """Show the page by way of a file that leads there, and that only this user can read.

    The command line of a browser, where the address with its token would be, can be read by all.
    """
    try:
        folder = Path.home() if _SNAPS.is_dir() else None
        handle, name = tempfile.mkstemp(".html", "neocog-explore-", folder)
        ending.callback(Path(name).unlink, missing_ok=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(leading_to(address))
    except (OSError, RuntimeError) as error:  # the latter where there is no home
        why = getattr(error, "strerror", None) or error
        say(f"The browser is not opened ({why}): open the address yourself.")
        return
    # A browser in a terminal returns only when it is closed.
    threading.Thread(target=webbrowser.open, args=(Path(name).as_uri(),), daemon=True).start()

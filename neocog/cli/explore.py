"""``neocog explore``."""

import contextlib
import os
import tempfile
import threading
import webbrowser
from pathlib import Path

from neocog.cli.own_pictures import own_pictures
from neocog.cli.terminal import is_terminal, loading_progress, say
from neocog.loading import open_network
from neocog.settings.training import check_threads
from neocog.web import Server, Session, is_loopback
from neocog.web.door import leading_to

__all__ = ["explore"]

# A sandboxed browser may have a /tmp of its own, but it sees the home folder without hidden files.
_SNAPS = Path("/snap")


def explore(
    model: str | None,
    data: str | None,
    host: str,
    port: int,
    no_browser: bool,
    threads: int | None,
    architecture: str | None = None,
    pictures: str | None = None,
) -> int:
    """Serve the page until Ctrl+C; prints its address."""
    check_threads(threads)
    with contextlib.ExitStack() as ending:
        # Bind first, so that a port in use is reported at once. Early requests wait.
        server = Server(host, port)
        ending.callback(server.close)
        opened = open_network(model, data, loading_progress(), architecture, pretrained=True)
        for note in opened.notes:
            say(note)
        if opened.data is None:
            say("Pictures can be uploaded; to train, name the data with --data.")
        if not is_loopback(host):
            say(
                f"Anyone who can reach {server.origin} and knows the address with its token can "
                "see and change everything; the connection is not encrypted."
            )
        sample = None if pictures is None else own_pictures(pictures, opened.network)
        say("Preparing the network (its kernels are compiled the first time) …")
        session = Session(
            opened.network, opened.data, opened.name, pictures=sample, threads=threads
        )
        ending.callback(session.close)
        print(server.address, flush=True)
        say("Stop with Ctrl+C.")
        if is_terminal() and not no_browser:
            _open_browser(server.address, ending)
        server.serve(session)
    return 0


def _open_browser(address: str, ending: contextlib.ExitStack) -> None:
    """Open the page through a file that redirects to it and that only this user can read.

    Every user can read the command line of a browser, which would have the address and its token.
    """
    try:
        folder = Path.home() if _SNAPS.is_dir() else None
        handle, name = tempfile.mkstemp(".html", "neocog-explore-", folder)
        ending.callback(Path(name).unlink, missing_ok=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(leading_to(address))
    except (OSError, RuntimeError) as error:  # RuntimeError if there is no home folder
        why = getattr(error, "strerror", None) or error
        say(f"The browser is not opened ({why}): open the address yourself.")
        return
    # A text-mode browser returns only when it is closed.
    threading.Thread(target=webbrowser.open, args=(Path(name).as_uri(),), daemon=True).start()

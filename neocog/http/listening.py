"""Sockets that listen."""

import errno
import os
import socket

from neocog.errors import NeocogError

__all__ = ["address_of", "listen"]

# Connections that may wait to be accepted.
_BACKLOG = 2048


def listen(host: str, port: int, command: str) -> socket.socket:
    """A socket that listens.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        command: that asks for it, for messages, such as ``neocog serve``.

    Raises:
        NeocogError: the port is in use, or the address is not one of this machine.
    """
    if not 0 <= port <= 65535:
        raise NeocogError(f"--port (={port}) must be from 0 to 65535.")
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name != "nt":  # where it would let two servers share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise NeocogError(_why(error, host, port, command)) from error
    return found


def _why(error: OSError, host: str, port: int, command: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use, perhaps by another {command}. Choose another "
            "with --port, or any free one with --port 0."
        )
    return f"neocog cannot listen on {host}:{port}: {error.strerror or error}."


def address_of(host: str, port: int) -> str:
    """The address of a server, for browsers."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"

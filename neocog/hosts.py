"""The names by which a server on this machine may be asked, to keep other pages' names out.

A page elsewhere can have its DNS name point to 127.0.0.1 (DNS rebinding) and would then be of one
origin with what is served here, so a request's Host header must be a name of this server.
"""

import ipaddress
import socket

__all__ = ["Hosts", "is_loopback", "split_host"]


class Hosts:
    """The names of a server.

    Args:
        host: the address that it listens on.
        port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._port = port
        self._names = {host.lower(), "localhost"}
        self._any_address = False
        if is_loopback(host):
            self._names |= {"127.0.0.1"} if ":" not in host else set()
        else:
            # Nobody's DNS can make an address point elsewhere.
            self._any_address = True
            name = socket.gethostname().lower()
            self._names |= {name, f"{name}.local"}

    def has(self, header: str) -> bool:
        """Whether a Host header names this server."""
        name, port = split_host(header)
        if port != self._port:
            return False
        if name.lower() in self._names:
            return True
        return self._any_address and _is_address(name)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def split_host(host: str) -> tuple[str, int | None]:
    """The name and the port in a Host header; the port is None if it is not a number."""
    name, colon, port = host.strip().rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host.strip(), "80"
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name, int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None

"""Which requests are answered: those for a name of this server, and not from pages of others.

A page elsewhere could make every visitor's browser send requests here, or read the answers under a
DNS name that it has point here; see `neocog.hosts`.
"""

from collections.abc import Iterable

from starlette.types import Scope

from neocog.hosts import Hosts, split_host
from neocog.http.refusal import RefusedError

__all__ = ["Guard"]

_SITES = (b"same-origin", b"none")


class Guard:
    """The names of a server.

    Args:
        host: the address that it listens on.
        port: its port.
        allowed: further names, with any port, such as the one of a proxy in front; ``*`` is all.
        schemes: of its own pages' addresses; a proxy may add TLS.
        hint: what to do about a name that is refused, for its message.
    """

    def __init__(
        self,
        host: str,
        port: int,
        allowed: Iterable[str] = (),
        *,
        schemes: Iterable[str] = ("http",),
        hint: str = "",
    ) -> None:
        self._hosts = Hosts(host, port)
        self._schemes = [f"{scheme}://".encode() for scheme in schemes]
        self._refusal = f"The Host header does not name this server.{hint and f' ({hint})'}"
        self._allowed = {name.lower() for name in allowed}
        self._known: set[bytes] = set()

    def check(self, scope: Scope) -> None:
        """Raise `RefusedError` unless a request is for this server, and from no other's page."""
        hosts, origins, site = [], [], b"none"
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
            elif name == b"sec-fetch-site":
                site = value
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            raise RefusedError(self._refusal, 403)
        own = [scheme + hosts[0].lower() for scheme in self._schemes]
        if any(one.lower() not in own for one in origins):
            raise RefusedError("Requests from other pages are refused.", 403)
        if site not in _SITES and scope["path"] != "/":  # a link from elsewhere may lead there
            raise RefusedError("Requests from other pages are refused.", 403)

    def _is_own(self, header: bytes) -> bool:
        if header in self._known:
            return True
        text = header.decode("latin-1")
        name = split_host(text)[0].lower()
        found = bool(self._allowed & {name, "*"}) or self._hosts.has(text)
        if found and len(self._known) < 64:
            self._known.add(header)
        return found

"""Who may ask: whoever has the token, which is in the address that the command prints.

A port of 127.0.0.1 is open to every user of the machine, and a name or an origin says nothing of
who asks. The address with the token gives a browser a cookie, so that the token leaves the address
bar; a program sends it in a header.
"""

import secrets
from email.message import Message

from neocog.web.refusal import RefusedError

__all__ = ["Access"]


class Access:
    """The token of a server.

    Args:
        port: of the server; browsers share cookies over the ports of a host.
        token: that is asked for; a new one if None.
    """

    def __init__(self, port: int, token: str | None = None) -> None:
        self.token = secrets.token_urlsafe(24) if token is None else token
        self._name = f"neocog-{port}"

    @property
    def cookie(self) -> str:
        """What a browser is to keep, out of every script's reach.

        It is sent with requests of this host's pages, of any port: neither cookies nor SameSite
        know ports. Whether a request is one of the explorer's own page, `Guard` sees. A server on
        another port gets the token itself where this browser opens it.
        """
        return f"{self._name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def is_token(self, given: str) -> bool:
        """Whether it is the token; how long that takes tells nothing of it."""
        return secrets.compare_digest(
            given.encode(errors="replace"), self.token.encode(errors="replace")
        )

    def is_in(self, headers: Message) -> bool:
        """Whether a request has the token, in its cookie or as `Authorization: Bearer`."""
        kind, _, given = (headers.get("Authorization") or "").strip().partition(" ")
        found = [given.strip()] if kind.lower() == "bearer" else []
        # Not http.cookies: other servers of this host have set cookies, too, and one that it cannot
        # read would hide all that follow.
        for cookies in headers.get_all("Cookie") or []:
            for cookie in cookies.split(";"):
                name, _, value = cookie.strip().partition("=")
                if name == self._name:
                    found.append(value)
        return any(self.is_token(each) for each in found)

    def check(self, headers: Message) -> None:
        """Raise `RefusedError` for a request without the token."""
        if not self.is_in(headers):
            raise RefusedError(
                "The explorer answers only with its token: open the whole address that neocog "
                "explore printed, with ?token=… in it. (A program sends the header Authorization: "
                "Bearer …)",
                403,
            )

"""Who may send requests: whoever has the token, which is in the address that the command prints.

Every user of the machine can reach a port of 127.0.0.1, and a host name or an origin does not tell
who sends a request. A browser that opens the address with the token gets a cookie, so that the
token does not stay in the address bar; a program sends the token in a header.
"""

import secrets

from starlette.datastructures import Headers

from neocog.http.refusal import RefusedError

__all__ = ["Access"]


class Access:
    """The token of a server.

    Args:
        port: of the server. It is in the cookie's name, because all ports of a host share cookies.
        token: that requests must have; None for a new one.
    """

    def __init__(self, port: int, token: str | None = None) -> None:
        self.token = secrets.token_urlsafe(24) if token is None else token
        self._name = f"neocog-{port}"

    @property
    def cookie(self) -> str:
        """The cookie for a browser, which no script can read.

        Browsers send it with requests from this host's pages on any port, because neither cookies
        nor SameSite know ports; `Guard` checks whether a request is from the explorer's own page.
        A server on another port of this host gets the token when this browser opens it.
        """
        return f"{self._name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def is_token(self, given: str) -> bool:
        """Whether it is the token; compared in constant time."""
        return secrets.compare_digest(
            given.encode(errors="replace"), self.token.encode(errors="replace")
        )

    def is_in(self, headers: Headers) -> bool:
        """Whether a request has the token, in its cookie or as ``Authorization: Bearer``."""
        kind, _, given = headers.get("authorization", "").strip().partition(" ")
        found = [given.strip()] if kind.lower() == "bearer" else []
        # Not http.cookies, which stops at the first cookie that it cannot parse: other servers on
        # this host set cookies too.
        for cookies in headers.getlist("cookie"):
            for cookie in cookies.split(";"):
                name, _, value = cookie.strip().partition("=")
                if name == self._name:
                    found.append(value)
        return any(self.is_token(each) for each in found)

    def check(self, headers: Headers) -> None:
        """Raise `RefusedError` for a request without the token."""
        if not self.is_in(headers):
            raise RefusedError(
                "The explorer answers only with its token: open the whole address that neocog "
                "explore printed, with ?token=… in it. (A program sends the header Authorization: "
                "Bearer …)",
                403,
            )

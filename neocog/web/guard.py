"""Which requests are answered: those from the page that this server has served.

Pages of other origins can send requests to 127.0.0.1 too. They cannot read the answers, unless
their DNS name is made to point here (DNS rebinding); so a request's Host must be a name of this
server.
A request that changes something must come from the page itself or from a program that is not a
browser, so it must have a content type that no HTML form can send.
"""

from email.message import Message

from neocog.hosts import Hosts
from neocog.web.refusal import RefusedError

__all__ = ["MOST_JSON", "MOST_PICTURE", "Guard", "body_length"]

#: The largest picture, in bytes.
MOST_PICTURE = 20 * 2**20
#: The largest other request, in bytes; the largest kernel has fewer. The values that are read from
#: it may take twenty times as much memory while the explorer works on the request.
MOST_JSON = 2**17


class Guard:
    """The names of a server, and which requests it answers.

    Args:
        host: the address that it listens on.
        port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._hosts = Hosts(host, port)

    def check(self, headers: Message, *, changes: bool, api: bool) -> None:
        """Raise `RefusedError` unless the request is for this server, and from its own page.

        Args:
            headers: of the request.
            changes: whether it changes anything.
            api: whether only the page sends such a request. A link from elsewhere may lead to the
                page itself.
        """
        hosts = headers.get_all("Host") or []
        if len(hosts) != 1 or not self._hosts.has(hosts[0]):
            raise RefusedError("The Host header does not name this server.", 403)
        origins = headers.get_all("Origin") or []
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            raise RefusedError("Requests from other pages are refused.", 403)
        site = headers.get("Sec-Fetch-Site", "none")
        if api and site not in ("same-origin", "none"):
            raise RefusedError("Requests from other pages are refused.", 403)
        if changes and not _beyond_forms(headers):
            raise RefusedError(
                "The content type must be application/json, or image/… for a picture.",
                415 if origins else 403,
            )


def _beyond_forms(headers: Message) -> bool:
    kind = headers.get_content_type() if "Content-Type" in headers else ""
    return kind in ("application/json", "application/octet-stream") or kind.startswith("image/")


def body_length(headers: Message, most: int) -> int:
    """The length of a request's body; raises `RefusedError` if it is missing or above `most`."""
    if "Transfer-Encoding" in headers:
        raise RefusedError("The request must say its length; chunks are not accepted.", 411)
    lengths = headers.get_all("Content-Length") or []
    if not lengths:
        raise RefusedError("The request must say its length (Content-Length).", 411)
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise RefusedError("The request's Content-Length is not a number.", 400)
    if len(lengths[0]) > 15 or int(lengths[0]) > most:
        read = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
        raise RefusedError(f"The request is too large: at most {read} are accepted.", 413)
    return int(lengths[0])

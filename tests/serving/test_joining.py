"""Writes of an answer's head that wait for what follows."""

import asyncio
import socket

from event_loop import run_async

from neocog.http.joining import Joining


def test_behind_the_last_words_nothing_is_sent():
    """An answer may still be on its way when a client is told that it came too late."""
    near, far = socket.socketpair()

    async def answer():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        joining = Joining(transport, loop)
        joining.write(b"too late")
        joining.write_eof()
        joining.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        joining.write(b"{}")
        await asyncio.sleep(0)
        joining.close()

    run_async(answer())
    with far:
        assert far.makefile("rb").read() == b"too late"

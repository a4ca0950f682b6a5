"""Clients of an HTTP server, all in one thread, that cost as little as they can."""

import json
import select
import socket
import time

__all__ = ["Clients"]


class _Client:
    def __init__(self, request):
        self.request, self.socket = request, None
        self.began, self.got, self.length, self.body = 0.0, b"", 0, b""

    def connect(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.socket.fileno()

    def send(self, now):
        self.began = now
        self.socket.sendall(self.request)

    def receive(self):
        """Whether the answer is complete; each is as long as the one before."""
        part = self.socket.recv(65536)
        if not part:
            raise SystemExit("The server has closed a connection.")
        self.got += part
        if not self.length:
            self.length = _length(self.got)
        if len(self.got) < self.length or not self.length:
            return False
        if self.got[9:12] != b"200" or len(self.got) > self.length:
            raise SystemExit(self.got.decode())
        self.body, self.got = self.got, b""
        return True


class Clients:
    """Clients that each have a connection and a request.

    Args:
        port: of a server on this machine.
        requests: one for each client.
    """

    def __init__(self, port, requests):
        self._port = port
        self._all = [_Client(request) for request in requests]

    def ask(self, seconds):
        """Ask for so long.

        Returns:
            The seconds of each request, the seconds of all, and the CPU seconds of the clients.
        """
        everyone = {one.connect(self._port): one for one in self._all}
        poller = select.epoll()
        for descriptor in everyone:
            poller.register(descriptor, select.EPOLLIN)
        times, poll, clock = [], poller.poll, time.perf_counter
        first, cpu = clock(), time.thread_time()
        end = first + seconds
        for one in everyone.values():
            one.send(clock())
        while (now := clock()) < end:
            for descriptor, _event in poll(0.1):
                one = everyone[descriptor]
                if one.receive():
                    now = clock()
                    times.append(now - one.began)
                    one.send(now)
        took, cpu = now - first, time.thread_time() - cpu
        waiting = set(everyone)
        while waiting:  # what was asked last is not counted
            for descriptor, _event in poll(60):
                if everyone[descriptor].receive():
                    waiting.discard(descriptor)
        poller.close()
        for one in self._all:
            one.socket.close()
        return times, took, cpu

    def answers(self):
        """The JSON of each client's last answer."""
        return [json.loads(one.body.partition(b"\r\n\r\n")[2]) for one in self._all]


def _length(data):
    """The length of an answer by its head; 0 until the head has come."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = data[: end + 2].lower()
    at = head.index(b"content-length:") + 15
    return end + 4 + int(head[at : head.index(b"\r", at)])

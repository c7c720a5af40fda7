"""A server on 127.0.0.1 that serves files, and misbehaves in the ways that servers of data do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class UnreliableServer(ThreadingHTTPServer):
    """``files`` maps paths to contents, ``behaviour`` paths to what goes wrong there (see the handler); ``log`` and ``sent`` say what happened."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.behaviour: dict[str, str] = {}
        self.log: list[tuple[str, str, str | None]] = []
        self.sent: dict[str, int] = {}
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""

    def gets(self, path: str) -> list[str | None]:
        """Return the Range headers of all GET requests for ``path``."""
        return [wanted for method, asked, wanted in self.log if method == "GET" and asked == path]


class _Handler(BaseHTTPRequestHandler):
    server: UnreliableServer

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        behaviour = self.server.behaviour.get(self.path, "")
        self.server.log.append((self.command, self.path, self.headers.get("Range")))
        if behaviour.isdigit():
            self.send_error(int(behaviour))
        elif behaviour == "redirect to HTML":
            self.send_response(302)
            self.send_header("Location", "/login")
            self.end_headers()
        elif behaviour == "redirect for ever":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif self.path == "/login":
            self._send(b"<!DOCTYPE html><html><body>Please log in</body></html>", with_body, content_type="text/html")
        elif self.path not in self.server.files:
            self.send_error(404)
        elif behaviour == "hangs":
            time.sleep(5)
        elif behaviour == "resets":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.connection.close()
        else:
            self._send(self.server.files[self.path], with_body, behaviour)

    def _send(self, content: bytes, with_body: bool, behaviour: str = "", content_type: str = "application/octet-stream") -> None:
        ranges = "no ranges" not in behaviour
        wanted = self.headers.get("Range") if ranges else None
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        etag = f'"{hash(content)}"'
        if wanted and self.headers.get("If-Range") not in (None, etag):
            start, wanted = 0, None
        if wanted and start >= len(content):
            self.send_response(416)
            self.end_headers()
            return
        rest = content[start:]
        length = (
            len(rest) // 2 if "announces too little" in behaviour and not wanted else len(rest) + (1000 if "announces too much" in behaviour else 0)
        )
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Type", content_type)
        if "no length" not in behaviour:
            self.send_header("Content-Length", str(length))
        if ranges:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", etag)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if not with_body:
            return
        if "breaks off" in behaviour or "half" in behaviour:
            rest = rest[: max(len(rest) // 2, 1)]
        if "breaks off once" in behaviour:
            self.server.behaviour[self.path] = behaviour.replace("breaks off once", "")
        self.server.sent[self.path] = self.server.sent.get(self.path, 0) + len(rest)
        self.wfile.write(rest)
        if "stalls" in behaviour:
            self.wfile.flush()
            time.sleep(5)


@contextmanager
def unreliable_server() -> Iterator[UnreliableServer]:
    """Yield a running server."""
    server = UnreliableServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A hub on 127.0.0.1 that has one model, ``some/name``, and misbehaves in the ways that hubs and what stands before them do."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

COMMIT = "a" * 40


def point(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let the hub's client ask ``address``, whatever was said when it was imported."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


class HubServer(ThreadingHTTPServer):
    """Serves the files of ``folder``; ``behaviour`` says what goes wrong, ``log`` holds the requests, ``begun`` at which byte each answer begins."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.behaviour, self.log, self.begun = folder, "", [], []
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.over = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def handle_one_request(self) -> None:
        if self.server.behaviour == "drips its answer":
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
                self._drip(bytes([byte]), 0.1)
        super().handle_one_request()

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.log.append((self.command, self.path))
        behaviour, file = self.server.behaviour, self.server.folder / self.path.rpartition("/")[2]
        if behaviour.isdigit():
            return self._empty(int(behaviour), {})
        if behaviour == "never answers" or (behaviour == "never sends" and with_body):
            self.server.over.wait(60)
            return None
        if not self.path.startswith("/some/name/resolve/"):
            return self._empty(404, {"X-Error-Code": "RepoNotFound"})
        if not file.is_file():
            return self._empty(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        content = file.read_bytes()
        begin, _, _ = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        self.server.begun.append(int(begin))
        self.send_response(206 if int(begin) else 200)
        if int(begin):
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if behaviour != "is no hub":
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - int(begin)))
        self.end_headers()
        if with_body:
            self._send(content[int(begin) :], behaviour)
        return None

    def _send(self, content: bytes, behaviour: str) -> None:
        pieces, pause = {"drips": (1, 0.1), "is slow": (1 << 15, 0.5)}.get(behaviour, (len(content), 0.0))
        if behaviour in ("stalls", "breaks off once"):
            content, pieces = content[: len(content) // 2], len(content)
        for start in range(0, len(content), max(pieces, 1)):
            self._drip(content[start : start + pieces], pause)
        if behaviour == "stalls":
            self.server.over.wait(60)
        if behaviour == "breaks off once":
            self.server.behaviour, self.close_connection = "", True

    def _drip(self, content: bytes, pause: float) -> None:
        self.wfile.write(content)
        self.wfile.flush()
        if self.server.over.is_set():
            raise ConnectionError
        time.sleep(pause)

    def _empty(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def hub_server(folder: Path) -> Iterator[HubServer]:
    """Yield a running hub."""
    server = HubServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""A TLS server that answers what it was given, to see what the client makes of odd answers."""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
import threading
from typing import Any

from trove.guest.pki import Authority


class TlsPeer:
    """`answers` in order: (status, body), None to close the connection, "hang" to stay silent."""

    def __init__(self, authority: Authority) -> None:
        self.answers: list[Any] = []
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _, certificate, key = authority.issue("inst-1", "127.0.0.1")
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + key)
            file.flush()
            self._tls.load_cert_chain(file.name)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(0.05)
        try:
            with self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secure:
                secure.settimeout(5)
                secure.do_handshake()
                self.connections += 1
                secure.settimeout(0.05)
                while self._exchange(secure):
                    pass
        except OSError:
            return

    def _exchange(self, secure: ssl.SSLSocket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
            try:
                part = secure.recv(65536)
            except TimeoutError:
                if self._closing.is_set():
                    return False
                continue
            if not part:
                return False
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        with self._lock:
            self.requests.append((head.split(b"\r\n")[0].decode(), body))
            answer = self.answers.pop(0)
        if answer is None:
            return False
        if answer == "hang":
            self._closing.wait(5)
            return False
        status, told = answer
        payload = (told if isinstance(told, str) else json.dumps(told)).encode()
        secure.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)
        return True


def _length(data: bytes) -> int:
    for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0

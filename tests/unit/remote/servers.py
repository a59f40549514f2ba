"""A web server of one folder on loopback: with parts of files or whole ones, and with what goes wrong."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served:
    """What the server was asked for: bytes of each answer, by path. `status` answers everything with that."""

    def __init__(self, folder, *, in_parts=True):
        self.folder, self.in_parts = folder, in_parts
        self.sent = {}
        self.status = None
        self.cut = False  # every answer ends half-way
        self.heads = True  # else HEAD is refused, as with a URL signed for GET

    @property
    def total(self):
        return sum(sum(answers) for answers in self.sent.values())


def _handler(served):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words):
            pass

        def do_HEAD(self):
            if served.heads:
                self._answer(with_body=False)
            else:
                self._refuse(403)

        def do_GET(self):
            self._answer(with_body=True)

        def _refuse(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, *, with_body):
            path = self.path.partition("?")[0].lstrip("/")
            file = served.folder / path
            if served.status is not None or not file.is_file():
                self._refuse(served.status or 404)
                return
            content = file.read_bytes()
            asked = (
                re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if served.in_parts else None
            )
            first, last = (int(asked[1]), int(asked[2])) if asked else (0, len(content) - 1)
            part = content[first : last + 1]
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.send_header("Accept-Ranges", "bytes" if served.in_parts else "none")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if not with_body:
                return
            if served.cut:
                part = part[: len(part) // 2]
                self.close_connection = True
            try:
                self.wfile.write(part)
            except OSError:  # nobody reads the whole of what was only looked at
                return
            served.sent.setdefault(path, []).append(len(part))

    return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Readers that leave without a word are no error."""


@contextmanager
def serving(folder, **options):
    """The server's address, such as http://127.0.0.1:1234, and what it is asked for."""
    served = Served(folder, **options)
    server = _Server(("127.0.0.1", 0), _handler(served))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

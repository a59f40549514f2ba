"""A WebSocket server that speaks the Responses API; the model's name says how it behaves.

Words in the model name: stall (silence after the first event), lost (the connection ends there), fail.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.unit.collectors.fake_server import responses_events


class SocketServer:
    """The server while the block runs; `with` gives its port."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> int:
        self._server = serve(_answer, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        port: int = self._server.socket.getsockname()[1]
        return port

    def __exit__(self, *error: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join()


def _answer(link: ServerConnection) -> None:
    try:
        for message in link:
            request = json.loads(message)
            if request.get("type") == "response.create" and not _tell(link, request):
                return
    except ConnectionClosed:
        return


def _tell(link: ServerConnection, request: dict[str, Any]) -> bool:
    """Send the events of one response; whether the connection stays."""
    words = str(request.get("model")).split("-")
    lane = {"stream_id": request["stream_id"]} if "stream_id" in request else {}
    if "fail" in words:
        link.send(json.dumps({"type": "error", "code": "overloaded", "message": "secret", "status": 503}))
        return True
    for event, _ in responses_events(request, set()):
        data = json.loads(event.partition(b"data: ")[2])
        link.send(json.dumps({**data, **lane}))
        if "lost" in words:
            return False
        if "stall" in words:
            return True
    return True

"""Two hosts compare clocks: a question and its answer by UDP, with four times, as NTP does.

The question carries the answer's size, so that nobody can be flooded through us, and a number that the answer must
repeat. The answer is the host's boot id and its monotonic clock when the question came and when the answer left.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from tracekit.collectors.host_clock import boot_id
from tracekit.collectors.inside.spool import Writer

MESSAGE_BYTES = 256
ASK_SECONDS = 2.0
TRIES = 4
"""Questions in a row, of which the quickest answer is kept."""
PATIENCE_SECONDS = 0.5


def address(text: str) -> tuple[str, int]:
    """HOST:PORT, or a port alone on loopback.

    Raises
    ------
    ValueError : it is neither.
    """
    host, _colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() else -1
    if not 0 <= number < 65536:
        raise ValueError(f"'{text}' is not HOST:PORT")
    return host.strip("[]") or "127.0.0.1", number


class ClockServer(threading.Thread):
    """Answers questions about this host's monotonic clock until the process ends.

    Raises
    ------
    OSError : the address cannot be used.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(daemon=True)
        family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError:
            self.close()
            raise
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the address back, of one that was not started."""
        self._socket.close()

    def run(self) -> None:
        while True:
            try:
                question, sender = self._socket.recvfrom(MESSAGE_BYTES + 1)
                received_ns = time.monotonic_ns()
                if len(question) == MESSAGE_BYTES and question.startswith(b"tracekit-clock "):
                    self._socket.sendto(_answer(question, received_ns), sender)
            except (OSError, IndexError):  # not a question of ours
                continue


def _answer(question: bytes, received_ns: int) -> bytes:
    told = {
        "nonce": question.split()[1].decode("ascii", "replace"),
        "boot_id": boot_id(),
        "received_ns": received_ns,
        "replied_ns": time.monotonic_ns(),
    }
    return json.dumps(told).encode()[:MESSAGE_BYTES]


class ClockAsker(threading.Thread):
    """Asks another host every two seconds, and writes a `clock_exchange` record of the quickest answer."""

    def __init__(self, host: str, port: int, writer: Writer) -> None:
        super().__init__(daemon=True)
        self._host = host
        self._port = port
        self._writer = writer

    def run(self) -> None:
        silent = True
        while True:
            answers = [answer for _ in range(TRIES) if (answer := ask(self._host, self._port, self._now_ns))]
            if answers:
                silent = False
                best = min(answers, key=lambda answer: answer["returned_ns"] - answer["sent_ns"])
                sent_ns = best.pop("sent_ns")
                self._writer.write("clock_exchange", sent_ns, {"peer": f"{self._host}:{self._port}", **best})
            elif silent:
                silent = False
                self._writer.note("clock_silent", f"{self._host}:{self._port}")
            time.sleep(ASK_SECONDS)

    def _now_ns(self) -> int:
        return self._writer.clock.now_ns()


def ask(host: str, port: int, now_ns: Callable[[], int]) -> dict[str, Any] | None:
    """One question; None if no answer came.

    Returns
    -------
    `sent_ns` and `returned_ns` by `now_ns`, `peer_boot_id`, and `received_ns` and `replied_ns` on its monotonic clock.
    """
    nonce = secrets.token_hex(8)
    try:
        family, kind, protocol, _name, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as channel:
            channel.settimeout(PATIENCE_SECONDS)
            channel.connect(target)
            sent_ns = now_ns()
            channel.send(f"tracekit-clock {nonce} ".encode().ljust(MESSAGE_BYTES, b"."))
            answer = json.loads(channel.recv(MESSAGE_BYTES))
            returned_ns = now_ns()
        if answer["nonce"] != nonce:
            return None
        return {
            "sent_ns": sent_ns,
            "returned_ns": returned_ns,
            "peer_boot_id": answer["boot_id"],
            "received_ns": int(answer["received_ns"]),
            "replied_ns": int(answer["replied_ns"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None

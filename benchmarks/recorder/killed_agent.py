"""An agent that makes calls until it is killed, and writes each one's name in the statement after it.

Threads and a forked child write to the same pipe; a line of at most 4 kB is written whole or not at all. The first
line is the id of its process, which leads a group of its own.
"""

from __future__ import annotations

import os
import threading

import httpx2

MESSAGES = [{"role": "user", "content": "Hello. " * 100}]


def calls(base_url: str, name: str) -> None:
    with httpx2.Client() as client:
        for number in range(1_000_000):
            body = {"model": f"{name}.{number}", "messages": MESSAGES}
            if number % 3 == 2:
                body = {**body, "model": f"{name}.{number}-20-1", "stream": True}
            client.post(f"{base_url}/chat/completions", json=body).read()
            os.write(1, f"{body['model']}\n".encode())


def main() -> None:
    os.setpgid(0, 0)
    os.write(1, f"{os.getpid()}\n".encode())
    base_url = os.environ["OPENAI_BASE_URL"]
    if os.fork() == 0:
        calls(base_url, "child")
    threading.Thread(target=calls, args=(base_url, "thread")).start()
    calls(base_url, "parent")


if __name__ == "__main__":
    main()

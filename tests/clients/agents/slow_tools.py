"""Two tools that take 0.3 s and write down when they ran: the truth that recorded windows are held to."""

import asyncio
import json
import os
import time

SECONDS = 0.3


def _told(name, start_ns):
    log = os.environ.get("TOOL_LOG")
    if log:
        with open(log, "a") as stream:
            stream.write(json.dumps([name, start_ns, time.time_ns()]) + "\n")


def search(query: str) -> str:
    """Search the library.

    Args:
        query: what to look for
    """
    start_ns = time.time_ns()
    time.sleep(SECONDS)
    _told("search", start_ns)
    return f"found {query}"


def read(page: str) -> str:
    """Read a page.

    Args:
        page: its name
    """
    start_ns = time.time_ns()
    time.sleep(SECONDS)
    _told("read", start_ns)
    return f"text of {page}"


async def search_async(query: str) -> str:
    """Search the library.

    Args:
        query: what to look for
    """
    start_ns = time.time_ns()
    await asyncio.sleep(SECONDS)
    _told("search", start_ns)
    return f"found {query}"


async def read_async(page: str) -> str:
    """Read a page.

    Args:
        page: its name
    """
    start_ns = time.time_ns()
    await asyncio.sleep(SECONDS)
    _told("read", start_ns)
    return f"text of {page}"


search_async.__name__ = "search"
read_async.__name__ = "read"

"""Which process of the run is at the other end of a connection, so that its calls can be told from others'."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tracekit.collectors.proxy.socket_table import inode_of

# programs that make a request and end: what they are part of is what started them
_SINGLE_REQUESTS = frozenset(("curl", "wget", "http", "https", "xh", "xhs", "curlie"))


def flow_of(pid: int) -> int:
    """The process whose flow of control this one's requests belong to: its own, or for curl and its like the parent."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            found = re.match(r"\d+ \((.*)\) \S (\d+)", stream.read())
    except OSError:
        return pid
    return int(found[2]) if found and found[1] in _SINGLE_REQUESTS else pid


def caller_of(port: int, peer_port: int, run: int) -> int | None:
    """The process among `run`'s descendants that holds this loopback connection; Linux only.

    Of several that do, the youngest: a shell's child has what the shell had open.
    """
    inode = inode_of(port, peer_port)
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    found = None
    for pid in _descendants(run):
        if pid != os.getpid() and wanted in _open_files(pid):
            found = pid
    return found


def _descendants(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        parent = waiting.pop(0)
        for task in _names(f"/proc/{parent}/task"):
            try:
                children = Path(f"/proc/{parent}/task/{task}/children").read_text().split()
            except OSError:
                continue
            for child in map(int, children):
                yield child
                waiting.append(child)


def _open_files(pid: int) -> Iterator[str]:
    for file in _names(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(f"/proc/{pid}/fd/{file}")
        except OSError:  # closed since
            continue


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []

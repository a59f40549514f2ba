"""Whose connection it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tracekit.collectors.proxy import socket_table
from tracekit.collectors.proxy.caller import caller_of, flow_of

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the table is Linux's")
CONNECT = "import socket, sys; c = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); c.recv(1)"


@pytest.mark.parametrize("way", ["inode_of", "_by_proc"])
def test_a_sockets_inode(way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            inode = getattr(socket_table, way)(client.getsockname()[1], port)
            assert os.readlink(f"/proc/self/fd/{client.fileno()}") == f"socket:[{inode}]"
            assert getattr(socket_table, way)(1, 1) is None


@pytest.mark.parametrize("depth", [1, 2])
def test_a_childs_connection_is_the_childs(depth: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-c", CONNECT, str(port)]
        if depth == 2:
            command = ["sh", "-c", '"$@"; true', "sh", *command]
        with subprocess.Popen(command) as child:
            connection, peer = server.accept()
            with connection:
                found = caller_of(peer[1], port, os.getpid())
                assert found is not None
                assert (found == child.pid) == (depth == 1)
                assert CONNECT.encode() in Path(f"/proc/{found}/cmdline").read_bytes()
                assert flow_of(found) == found
                assert caller_of(peer[1], port, found) is None


def test_curls_flow_is_its_parents() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{port}/"]) as child:
            connection, peer = server.accept()
            with connection:
                assert caller_of(peer[1], port, os.getpid()) == child.pid
                assert flow_of(child.pid) == os.getpid()
    assert flow_of(child.pid) == child.pid  # it is gone

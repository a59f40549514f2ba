"""The kernel's table of TCP sockets, asked for one connection: by netlink where that is allowed, else by /proc."""

from __future__ import annotations

import contextlib
import socket
import struct

from tracekit.collectors.inside.loopback import HOST

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST = 1  # NLM_F_REQUEST
_NO_COOKIE = 0xFFFFFFFF
_INODE_AT = 16 + 68  # behind the message's header, at the end of struct inet_diag_msg


def inode_of(port: int, peer_port: int) -> int | None:
    """The inode of the loopback socket with these ports of its own and of its peer; Linux only."""
    with contextlib.suppress(OSError, AttributeError, struct.error):
        return _by_netlink(port, peer_port)
    return _by_proc(port, peer_port)


def _by_netlink(port: int, peer_port: int) -> int | None:
    host = socket.inet_aton(HOST)
    request = (
        struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, _NO_COOKIE)
        + struct.pack("!HH4s12x4s12x", port, peer_port, host, host)
        + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(0.1)
        kernel.send(struct.pack("=IHHII", 16 + len(request), _BY_FAMILY, _REQUEST, 1, 0) + request)
        answer = kernel.recv(4096)
    kind: int = struct.unpack_from("=H", answer, 4)[0]
    if kind != _BY_FAMILY:
        raise OSError
    inode: int = struct.unpack_from("=I", answer, _INODE_AT)[0]
    return inode


def _by_proc(port: int, peer_port: int) -> int | None:
    host = f"{int.from_bytes(socket.inet_aton(HOST), 'little'):08X}"
    ends = [f"{host}:{port:04X}", f"{host}:{peer_port:04X}"]
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if words[1:3] == ends:
                    return int(words[9])
    except (OSError, ValueError, IndexError):
        return None
    return None

"""Kills or stops the process that a fault is for: one that is named, or the request's sender."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from emulators.faults import KILL, Fault


def send_signal(fault: Fault, client_port: int, our_port: int) -> None:
    """Sends SIGKILL or SIGSTOP; a process that is gone already is let be."""
    pid = fault.pid if fault.pid is not None else find_sender(client_port, our_port)
    what = signal.SIGKILL if fault.action == KILL else signal.SIGSTOP
    if pid is None:
        return
    try:
        if fault.group:
            os.killpg(os.getpgid(pid), what)
        else:
            os.kill(pid, what)
    except ProcessLookupError:
        return


def find_sender(client_port: int, our_port: int) -> int | None:
    """The process at the other end of a loopback connection (Linux only); None if not found."""
    wanted = f"socket:[{_inode(client_port, our_port)}]"
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) == wanted:
                return int(descriptor.parts[2])
        except OSError:  # the process ended, or is another user's
            continue
    return None


def _inode(client_port: int, our_port: int) -> str | None:
    """The inode of the client's socket, from the system's table of TCP connections."""
    table = Path("/proc/net/tcp")
    for line in table.read_text().splitlines()[1:] if table.exists() else ():
        _, local, remote, *rest = line.split()
        if _port(local) == client_port and _port(remote) == our_port:
            return rest[6]
    return None


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)

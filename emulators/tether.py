"""Runs a command that must not outlive us: `python tether.py COMMAND …`.

The command is killed as soon as our standard input closes (whoever started us let go or died, even
by SIGKILL) or another process becomes our parent. Its exit status is ours. Nothing but the standard
library is imported, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading

POLL_S = 1.0
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In the child, on Linux: be killed when the tether itself is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _hold(child: subprocess.Popen[bytes], parent: int) -> None:
    """Kills the child when the tether is let go of."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], POLL_S)
        if readable and not os.read(0, 4096):
            break
    child.kill()


def main(command: list[str]) -> int:
    """Runs `command`, tethered; returns its exit status."""
    parent = os.getppid()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no other thread has been started yet
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_hold, args=(child, parent), daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

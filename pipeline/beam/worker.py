"""A worker process of the local runner: Beam's own, less its chatter on standard error."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from threading import Thread

_LOOK_SECONDS = 0.5


def command() -> str:
    """The shell command that starts a worker of this process, in the shell's own place."""
    return f"exec {shlex.quote(sys.executable)} -m {__spec__.name} {os.getpid()}"


def main() -> None:
    """Serves the runner that started this process, until it is done or gone."""
    logging.disable(logging.WARNING)
    Thread(target=_end_with, args=(int(sys.argv.pop(1)),), daemon=True).start()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone: a runner that was killed stops no workers."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()

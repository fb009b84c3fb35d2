"""A worker process of the local runner: Beam's own, less its chatter on standard error."""

from __future__ import annotations

import logging
import shlex
import sys


def command() -> str:
    """The shell command that starts a worker."""
    return f"{shlex.quote(sys.executable)} -m {__spec__.name}"


def main() -> None:
    """Serves the runner that started this process, until it is done."""
    logging.disable(logging.WARNING)
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()

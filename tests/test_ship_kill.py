"""The shipper killed at each step: run again, each log is in the store once, and nothing else is.

The runs are forked, each a process of its own that runs the command line.
"""

from __future__ import annotations

import gzip
import itertools
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.shipping import HOST, Place, lines

MOST_STEPS = 200
RANDOM_KILLS = 20
STEPS = (
    (Path, "rename"),
    (Path, "unlink"),
    (Path, "hardlink_to"),
    (os, "utime"),
)
"""What changes a folder, or stands in the midst of packing."""
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    ["pipeline.cli", "pipeline.ship.shipping", "pipeline.ship.stores", "tests.shipping"]
)


def run(root: Path) -> None:
    """One run of the command."""
    from pipeline.cli import main

    sys.stdout = (root / "out.txt").open("w")
    place = ("--from", str(root / "logs"), "--to", str(root / "out"), "--host", HOST)
    main(["ship", *place, "--settle", "0", "--keep", "0"])


def run_and_die(root: Path, number: int) -> None:
    """A run that kills itself after its nth step of those that change a disk."""
    seen = itertools.count(1)

    def deadly(step: Callable[..., Any]) -> Callable[..., Any]:
        def take(*words: Any, **others: Any) -> Any:
            result = step(*words, **others)
            if next(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return take

    for owner, name in STEPS:
        patch.object(owner, name, deadly(getattr(owner, name))).start()
    run(root)


def exit_of(target: Callable[..., None], *words: Any) -> int | None:
    process = FORKED.Process(target=target, args=words)
    process.start()
    process.join(120)
    return process.exitcode


def fill(place: Place, number: int) -> list[bytes]:
    """Two new logs, one of them twice."""
    logs = [lines(2 * number), lines(2 * number + 1, 40)]
    place.put(f"pixelship.log-{number}", logs[0])
    place.put(f"pixelship.log.{number}.gz", gzip.compress(logs[1]))
    place.put(f"pixelship.log.{number}", logs[1])
    return logs


def is_all_there(place: Place, expected: list[bytes]) -> bool:
    """Whether a run that ends leaves each log in the store once, and nothing here."""
    report = place.ship(keep_s=0)
    left = [*place.left(), *(name for name, count in place.parts().items() if count)]
    return report.is_clean and not left and sorted(place.stored().values()) == sorted(expected)


def test_killed_at_step_after_step(tmp_path: Path) -> None:
    place = Place(tmp_path)
    expected: list[bytes] = []
    for number in range(1, MOST_STEPS):
        expected += fill(place, number)
        status = exit_of(run_and_die, tmp_path, number)
        assert status in (0, -signal.SIGKILL)
        assert is_all_there(place, expected)
        if status == 0:
            break
    assert number > 15, "there were too few steps to tell anything"
    assert number < MOST_STEPS - 1, "a run has no end of steps"


def test_killed_at_random_moments(tmp_path: Path) -> None:
    place = Place(tmp_path)
    chance = random.Random(1)  # noqa: S311 - the same kills at every run
    expected: list[bytes] = []
    killed = 0
    for number in range(RANDOM_KILLS):
        expected += fill(place, number)
        process = FORKED.Process(target=run, args=(tmp_path,))
        process.start()
        process.join(chance.uniform(0, 0.4))
        killed += process.is_alive()
        process.kill()
        process.join()
        if number % 3 == 2:
            assert is_all_there(place, expected)
    assert is_all_there(place, expected)
    assert killed > 3, "most kills came too late to tell anything"


def test_two_at_once_do_no_harm(tmp_path: Path) -> None:
    place = Place(tmp_path)
    expected = fill(place, 0)
    both = [FORKED.Process(target=run, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert sorted(process.exitcode or 0 for process in both) in ([0, 0], [0, 2])
    assert sorted(place.stored().values()) == sorted(expected)

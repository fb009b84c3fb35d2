"""nginx under load, its log rotated and shipped, the shipper killed at random: every reply counts once.

    python -m faults.rotations [--rotations 50] [--clients 2] [--seed 7]

Half of the rotations are made as logrotate makes them, the rest by `pixelship ship --rotate`; meanwhile
shippers are started and killed with SIGKILL, and the object store fails now and then. At the end what
the clients were answered is held against the lines in the store, and against the rows that are loaded
from there. The figures are written to `faults/rotations.md`.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backports import zstd

from emulators.environment import client_environment
from emulators.fault_proxy import FaultProxy
from emulators.faults import AFTER, BEFORE, CUT, HALF, REFUSE, Fault
from emulators.install import NoEmulatorsError
from emulators.object_store import ObjectStore
from faults.edge import LOG, Edge, Load, lines_of
from faults.processes import Ended, Run, fork, start_command
from faults.traffic import BOT, NOT_PIXEL, REJECT, SECRET, VIEW

RESULTS = Path(__file__).with_name("rotations.md")
BUCKET = "edge"
URL = f"gs://{BUCKET}/logs"
_TO_THE_END_S = 300.0
_UPLOAD = "/upload/"
_ON_THE_WAY = (
    Fault(REFUSE, "POST", _UPLOAD, when=BEFORE),
    Fault(REFUSE, "POST", _UPLOAD, when=AFTER),
    Fault(CUT, "POST", _UPLOAD, when=BEFORE),
    Fault(CUT, "POST", _UPLOAD, when=AFTER),
    Fault(HALF, "POST", _UPLOAD),
)
_KINDS = {VIEW: "views", BOT: "bots", REJECT: "rejects", NOT_PIXEL: "other paths"}


@dataclass
class Outcome:
    """What came of it: `asked` and `loaded` by fate, and the lines in the store."""

    asked: Counter[str] = field(default_factory=Counter)
    loaded: Counter[str] = field(default_factory=Counter)
    shipped_lines: int = 0
    objects: int = 0
    rotations: int = 0
    runs: int = 0
    kills: int = 0
    seconds: float = 0.0
    wonders: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether each reply is one line and one row, or its counterpart."""
        return (
            lines_of(self.asked) == self.shipped_lines
            and self.asked == self.loaded
            and not self.wonders
        )

    def as_markdown(self, command: str) -> str:
        """The results file."""
        rows = [
            f"| {name} | {self.asked[kind]:,} | {self.loaded[kind]:,} |"
            for kind, name in _KINDS.items()
        ]
        said = "Exact." if self.is_exact else "NOT EXACT: " + "; ".join(self.wonders)
        return "\n".join(
            [
                "# Rotations under load",
                "",
                f"`{command}`: {said}",
                "",
                f"{self.rotations} rotations in {self.seconds:.0f} s; {self.runs} runs of the shipper, "
                f"{self.kills} of them killed with SIGKILL; {self.objects} objects, "
                f"{self.shipped_lines:,} lines in them.",
                "",
                "| fate | replies that clients counted | loaded |",
                "| --- | ---: | ---: |",
                *rows,
                f"| all | {lines_of(self.asked):,} | {lines_of(self.loaded):,} |",
                "",
            ]
        )


class Trial:
    """The edge, its shippers and the store, in a folder."""

    def __init__(self, folder: Path, edge: Edge, store: ObjectStore, proxy: FaultProxy) -> None:
        self._folder, self._edge, self._store, self._proxy = folder, edge, store, proxy
        self._runs = 0
        self.outcome = Outcome()

    def rotate_and_kill(self, rotations: int, chance: random.Random) -> None:
        """Rotates so often; shippers come and go meanwhile."""
        ended = threading.Event()
        shipping = threading.Thread(
            target=self._ship_until, args=(ended, random.Random(chance.random()))
        )
        shipping.start()
        try:
            while self.outcome.rotations < rotations:
                time.sleep(chance.uniform(0.2, 0.8))
                self.outcome.rotations += self._edge.rotate()
        finally:
            ended.set()
            shipping.join()

    def _ship_until(self, ended: threading.Event, chance: random.Random) -> None:
        while not ended.is_set():
            if chance.random() < 0.3:
                self._proxy.add(chance.choice(_ON_THE_WAY))
            mode = ["--rotate"] if chance.random() < 0.5 else ["--watch", "0.1s"]
            by_command = chance.random() < 0.1
            run = self._start(*mode, by_command=by_command)
            if not by_command:
                run.wait_for_begin()
            run.work_on(chance.uniform(0, 4.0 if by_command else 1.0))
            run.kill()
            self._judge(run.wait())

    def _judge(self, ended: Ended) -> None:
        """What a run may end as: killed, or done."""
        self.outcome.kills += ended.was_killed
        if "Traceback" in ended.err or (not ended.was_killed and ended.status != 0):
            said = (ended.err or ended.out).strip().splitlines()[-1:]
            self.outcome.wonders.append(f"a run ended with {ended.status}: {said}")

    def _start(self, *options: str, by_command: bool = False) -> Run:
        self._runs += 1
        self.outcome.runs += 1
        words = [
            *("ship", "--from", str(self._edge.logs), "--to", URL, "--live", LOG),
            *("--host", "edge-1", "--nginx-pid", str(self._edge.pid_file), "--settle", "0"),
            *options,
        ]
        folder = self._folder / f"run-{self._runs:04d}"
        return (start_command if by_command else fork)(folder, words, self._environment())

    def finish(self) -> None:
        """Ships what is left, and loads all of it."""
        self._proxy.clear()
        left = self._edge.logs / LOG
        if left.exists():
            left.rename(left.with_name(f"{LOG}-last"))
        self._judge(self._start(by_command=True).wait(_TO_THE_END_S))
        spool = self._edge.logs / ".pixelship-ship"
        for each in (
            *self._edge.logs.glob(f"{LOG}*"),
            *spool.glob("taken/*"),
            *spool.glob("ready/*"),
        ):
            self.outcome.wonders.append(f"{each.name} was left behind")
        contents = [
            zstd.decompress(path.read_bytes())
            for path in sorted((self._store.root / BUCKET).rglob("*.log.zst"))
        ]
        self.outcome.objects = len(contents)
        self.outcome.shipped_lines = sum(content.count(b"\n") for content in contents)
        if len(set(contents)) != len(contents):
            self.outcome.wonders.append("an object is there twice")
        words = ["load", f"{URL}/", "--to", f"duckdb:{self._folder}/out.duckdb", "--json"]
        loaded = fork(self._folder / "load", words, self._environment()).wait(_TO_THE_END_S)
        self._count(loaded)

    def _count(self, loaded: Ended) -> None:
        sheet: dict[str, Any] = loaded.report
        if loaded.status != 0:
            self.outcome.wonders.append(f"the load ended with {loaded.status}: {loaded.err[-300:]}")
        rejects = sum(sheet.get("rejected", {}).values())
        fates = {
            VIEW: sheet.get("accepted", 0),
            BOT: sheet.get("bot", 0),
            REJECT: rejects,
            NOT_PIXEL: sheet.get("not_pixel", 0),
        }
        self.outcome.loaded = Counter(fates)

    def _environment(self) -> dict[str, str]:
        return {
            **client_environment(self._proxy.url),
            "SIGNER_SECRET": SECRET,
            "PIXELSHIP_RETRY_S": "60",
        }


def try_rotations(folder: Path, rotations: int, clients: int, pause_s: float, seed: int) -> Outcome:
    """All of it, in a folder."""
    began = time.monotonic()
    with ExitStack() as stack:
        store = stack.enter_context(ObjectStore())
        store.make_bucket(BUCKET)
        proxy = stack.enter_context(FaultProxy(store.url))
        edge = stack.enter_context(Edge(folder / "edge"))
        trial = Trial(folder, edge, store, proxy)
        load = Load(edge.port, clients, pause_s)
        try:
            trial.rotate_and_kill(rotations, random.Random(seed))
        finally:
            trial.outcome.asked = load.end()
        edge.stop()
        trial.outcome.seconds = time.monotonic() - began
        trial.finish()
    return trial.outcome


def main(words: Sequence[str] | None = None) -> int:
    """Reads the command line; the exit status is 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rotations", type=int, default=50)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between some requests")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="pixelship-rotations-") as folder:
            outcome = try_rotations(
                Path(folder), given.rotations, given.clients, given.pause, given.seed
            )
    except NoEmulatorsError as error:
        print(error, file=sys.stderr)
        return 2
    command = f"python -m faults.rotations --rotations {given.rotations} --seed {given.seed}"
    said = outcome.as_markdown(command)
    print(said)
    RESULTS.write_text(said)
    return 0 if outcome.is_exact else 1


if __name__ == "__main__":
    sys.exit(main())

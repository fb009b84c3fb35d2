"""The matrix of faults: `python -m faults [--quick] [--kills N] [--only NAME] [--seed N]`.

Everything that is known to go wrong is made to go wrong, on purpose and at every step; each time the
warehouse is then held against what was sent. Ends with 1 where anything is lost, doubled or
unexplained. The whole matrix writes its table into `faults/results.md`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from emulators.install import NoEmulatorsError
from faults.catalogue import all_cases, quick_cases
from faults.matrix import run_matrix
from faults.mischief import DEFECTS
from faults.report import Display, as_markdown, print_results

RESULTS = Path(__file__).with_name("results.md")
KILLS = 500


def main(words: Sequence[str] | None = None) -> int:
    """Reads the command line and tries the cases that it asks for."""
    given = _parser().parse_args(words)
    cases = quick_cases() if given.quick else all_cases(given.kills)
    pattern = re.compile(given.only, re.IGNORECASE)
    chosen = [case for case in cases if pattern.search(f"{case.fault} ({case.warehouse})")]
    if not chosen:
        print(f"No fault is named like {given.only!r}.", file=sys.stderr)
        return 2
    defects = DEFECTS[given.plant] if given.plant else ()
    try:
        with Display(len(chosen)) as display:
            results = run_matrix(chosen, given.seed, given.lanes, display.told, defects)
    except NoEmulatorsError as error:
        print(error, file=sys.stderr)
        return 2
    print_results(results)
    if len(chosen) == len(cases) and not given.quick and not defects:
        command = f"python -m faults --kills {given.kills} --seed {given.seed}"
        RESULTS.write_text(as_markdown(results, command))
    return int(not results.total.findings.is_clean)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a share of it, about a minute")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help="kills at random moments, for each warehouse")  # fmt: skip
    parser.add_argument("--only", default="", metavar="NAME", help="faults whose name fits this regular expression")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed gives other logs and moments")  # fmt: skip
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 1, metavar="N", help="cases at a time")  # fmt: skip
    parser.add_argument("--plant", choices=DEFECTS, help="plant a defect, to see it found")
    return parser


if __name__ == "__main__":
    sys.exit(main())

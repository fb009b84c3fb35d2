"""`python -m benchmarks` runs `benchmarks.run`, then `formats`, `bigquery` and `scale` in the same manner.

Where contenders or scenarios are chosen (`--only`, `--scenario`), the first alone.
"""

import argparse
import sys

from benchmarks import bigquery, formats, run, scale


def main(argv: list[str]) -> int:
    """The exit status: 1 where anything was not as it must be."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds")
    parser.add_argument("--out")
    given, others = parser.parse_known_args(argv)
    status = run.main(argv)
    if {"--only", "--scenario"} & {word.partition("=")[0] for word in others}:
        return status
    same = ["--quick"] if given.quick else []
    for name in ("rounds", "out"):
        value = getattr(given, name)
        same += [f"--{name}", value] if value else []
    return max(status, formats.main(same), bigquery.main(same), scale.main(same))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

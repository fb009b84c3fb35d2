"""`python -m tfcheck`: what is wrong with `terraform/`, or with the folder that is named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tfcheck.modules import find_modules, untidy
from tfcheck.terraform import ENVIRONMENT, ROOT, TerraformError, terraform_here

SECONDS = 600


def check_folder(root: Path) -> Iterator[str]:
    """All that is wrong with a root module, the modules it is made of and its examples."""
    modules = find_modules(root)
    with ThreadPoolExecutor(2) as pool, terraform_here(root) as terraform:
        policies = pool.submit(_against_policies, root)
        yield terraform.badly_formatted(root)
        for module in modules:
            yield from untidy(root, module)
        yield from pool.map(terraform.invalid, modules)
        yield policies.result()


def _against_policies(root: Path) -> str:
    """What checkov holds against the files; '' if nothing. It asks no service."""
    done = subprocess.run(
        [
            *(ENVIRONMENT / "bin" / "checkov", "--directory", root, "--framework", "terraform"),
            *("--quiet", "--compact", "--skip-download", "--skip-results-upload"),
        ],
        env={**os.environ, "ANSI_COLORS_DISABLED": "1", "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def main() -> int:
    """Prints what is wrong; the exit status says whether anything is."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "terraform"
    try:
        troubles = [trouble for trouble in check_folder(root.resolve()) if trouble]
    except TerraformError as error:
        troubles = [str(error)]
    print("\n".join(troubles), file=sys.stderr, end="\n" if troubles else "")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())

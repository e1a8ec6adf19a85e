"""What the secret files of the config hold is hidden from every log, also after they were rotated."""

import contextlib
from pathlib import Path

from rollbackd.controller.config.paths import paths_in
from rollbackd.controller.config.values import Config
from rollbackd.controller.logs import Secrets

_PUBLIC = ("ca_file",)
_LONGEST = 64 * 1024


class SecretFiles:
    """The files are read by those who use them; here only so that nothing that is logged can show what they hold."""

    def __init__(self, config: Config, secrets: Secrets) -> None:
        self._files = sorted({file for trail, file in paths_in(config) if is_secret(trail)})
        self._secrets = secrets
        self._seen: dict[Path, tuple[int, int]] = {}

    def learn(self) -> None:
        """What stands in a file that has changed is hidden from now on. A file that cannot be read hides nothing: its user will say so."""
        for file in self._files:
            with contextlib.suppress(OSError):
                found = file.stat()
                stamp = found.st_mtime_ns, found.st_ino
                if self._seen.get(file) != stamp:
                    self._hide(file.read_bytes()[:_LONGEST].decode(errors="replace"))
                    self._seen[file] = stamp

    def _hide(self, text: str) -> None:
        for line in filter(None, map(str.strip, text.splitlines())):
            self._secrets.add(line)
            with contextlib.suppress(ValueError):  # no address
                if "://" in line:
                    self._secrets.add_url(line)


def is_secret(trail: str) -> bool:
    """What stands there in the config is a file with a secret."""
    name = trail.rpartition(".")[2]
    return (name.endswith("_file") and name not in _PUBLIC) or name == "store_password"

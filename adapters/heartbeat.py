"""The sign of life that a service elsewhere waits for: where none comes, that service pages. Its address is a secret."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.posting import accepted, host_of, post
from rollbackd.adapters.base.secret_files import only_secret

TIMEOUT = timedelta(seconds=10)


class Beacon:
    """Posts an empty body to the address in ``url_file``, which is read anew each time."""

    def __init__(self, url_file: Path, now: Callable[[], datetime], timeout: timedelta = TIMEOUT) -> None:
        self._url_file = url_file
        self._now = now
        self._timeout = timeout

    def send(self) -> None:
        """The service has heard of us. Raises Transient or Permanent, neither of which shows the address."""
        url = only_secret("heartbeat", self._url_file, "one address")
        reply = post(url, b"", {}, self._timeout)
        accepted(f"heartbeat at {host_of(url)}", reply, self._now(), excerpt=False)

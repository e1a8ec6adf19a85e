"""The deploy tool of the demo's shop, used by people and, through the daemon's config, by rollbackd as its `command` target.

`python -m rollbackd.controller.demo.deploy describe VERSION_FILE PORT` prints the wanted version and since when it serves, as JSON.
`python -m rollbackd.controller.demo.deploy apply VERSION_FILE PORT VERSION` returns once that version serves.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SERVES_WITHIN = 10.0


def _serving(port: int) -> dict[str, str]:
    """What the shop says of itself; nothing while it restarts."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/version")
        said: dict[str, str] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return said


def describe(version_file: Path, port: int) -> dict[str, str | None]:
    """The wanted version as the revision; ``ready`` is null until the shop serves it."""
    wanted, shop = version_file.read_text().strip(), _serving(port)
    return {"revision": wanted, "ready": shop["since"] if shop.get("version") == wanted else None}


def apply(version_file: Path, port: int, version: str) -> bool:
    """Ask for this version; True once it serves, False if it does not within ten seconds."""
    beside = version_file.with_suffix(".new")
    beside.write_text(f"{version}\n")
    os.replace(beside, version_file)
    deadline = time.monotonic() + SERVES_WITHIN
    while _serving(port).get("version") != version:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def main(argv: Sequence[str]) -> int:
    """The exit code."""
    verb, version_file, port, *rest = argv
    if verb == "describe":
        print(json.dumps(describe(Path(version_file), int(port))))
        return 0
    if apply(Path(version_file), int(port), rest[0]):
        return 0
    print(f"{rest[0]} does not serve after {SERVES_WITHIN:g} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

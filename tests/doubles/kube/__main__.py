"""``python -m tests.doubles.kube --port 0``: serves until it is killed or who started it is gone; the first line on stdout is its address."""

import argparse
import os
import threading
import time

from tests.doubles.kube.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.doubles.kube")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", default=os.environ.get("KUBE_DOUBLE_TOKEN", "double-token"), help="the bearer token that is accepted")
    parser.add_argument("--period", type=float, default=0.01, help="seconds between passes of the controllers")
    parser.add_argument("--certificate", default="", help="a PEM file with certificate and key: serve HTTPS")
    asked = parser.parse_args()
    with serve(asked.port, asked.token, asked.period, asked.certificate) as server:
        scheme = "https" if asked.certificate else "http"
        threading.Thread(target=_end_after, args=(os.getppid(),), daemon=True).start()
        print(f"{scheme}://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


def _end_after(parent: int) -> None:
    """A test run that is killed leaves no cluster behind: its controllers would go on for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()

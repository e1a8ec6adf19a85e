"""An admission webhook of the tests: it denies everything, in the words that a test gives it."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.kube.client import Raw
from tests.kube.cluster import certified


@dataclass(frozen=True)
class Webhook:
    """One HTTPS server, and at each of its paths another denial."""

    url: str
    authority: Path
    results: dict[str, Raw] = field(default_factory=dict)

    def denying(self, path: str, result: Raw) -> dict[str, str]:
        """The ``clientConfig`` of a webhook that denies with this ``status`` of an AdmissionResponse."""
        self.results[f"/{path}"] = result
        return {"url": f"{self.url}/{path}", "caBundle": base64.b64encode(self.authority.read_bytes()).decode()}


class _Handler(BaseHTTPRequestHandler):
    results: dict[str, Raw]

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        denial = {"uid": review["request"]["uid"], "allowed": False, "status": self.results[self.path.partition("?")[0]]}
        answer = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": denial}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def serving_webhook(folder: Path) -> Iterator[Webhook]:
    """It listens for the length of the block."""
    key, certificate = certified(folder)
    results: dict[str, Raw] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"results": results}))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="webhook", daemon=True)
    thread.start()
    try:
        yield Webhook(f"https://127.0.0.1:{server.server_address[1]}", certificate, results)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

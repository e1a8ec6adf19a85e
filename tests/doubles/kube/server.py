"""HTTP: reads a request, meets the weather, writes the answer. The controllers run beside it."""

import json
import ssl
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.doubles.kube import control
from tests.doubles.kube.access import Gate
from tests.doubles.kube.api import Api, Request, located
from tests.doubles.kube.faults import Fault, Weather
from tests.doubles.kube.pods import World, run_node, sync_replicaset
from tests.doubles.kube.rollout import sync_deployment
from tests.doubles.kube.status import ApiFailure, injected
from tests.doubles.kube.store import Store


class Cluster:
    """One cluster: objects, rights, weather, and the controllers that run over them every ``period`` seconds."""

    def __init__(self, token: str, period: float) -> None:
        self.store, self.world, self.weather, self.gate = Store(), World(), Weather(), Gate(token)
        self.api = Api(self.store, self.gate)
        self.period = period
        self.controllers_run = True
        self.store.clear()

    def reset(self) -> None:
        """As on the first day."""
        with self.store.lock:
            self.store.clear()
            self.world.reset()
            self.weather.clear()
            self.gate.denials.clear()
            self.api.served.clear()
            self.controllers_run = True

    def run_controllers(self) -> None:
        """For ever."""
        while True:
            time.sleep(self.period)
            with self.store.lock:
                self._pass(datetime.now(UTC))

    def _pass(self, at: datetime) -> None:
        run_node(self.store, self.world, at)
        for replicaset in self.store.find("replicasets"):
            sync_replicaset(self.store, self.world, replicaset, at)
        for deployment in self.store.find("deployments") if self.controllers_run else []:
            sync_deployment(self.store, deployment, at)


class _Dropped(Exception):
    """The connection is cut without an answer."""


class Handler(BaseHTTPRequestHandler):
    """One connection; requests on it come one after another."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: Nagle's algorithm would hold the second back for 40 ms.
    disable_nagle_algorithm = True
    cluster: Cluster

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        if url.path.startswith("/_double/"):
            self._reply(*control.answer(self.cluster, self.command, url.path, body))
            return
        request = Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            content_type=self.headers.get("Content-Type", ""),
            user_agent=self.headers.get("User-Agent", ""),
            authorization=self.headers.get("Authorization"),
            body=body,
            accept=self.headers.get("Accept", ""),
            **located(url.path),
        )
        seen = control.record(self.cluster, request)
        try:
            seen["status"], answer = self._weathered(request)
        except _Dropped:
            self.close_connection = True
            return
        self._reply(seen["status"], answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

    def _weathered(self, request: Request) -> tuple[int, Any]:
        fault = self.cluster.weather.meet(request.method, request.resource, request.namespace, dry_run=request.dry_run)
        if fault is not None:
            self._before(fault)
        try:
            if fault is not None and fault.kind == "status":
                raise injected(fault.status, fault.message, fault.retry_after)
            code, answer = self.cluster.api.answer(request)
        except ApiFailure as failure:
            code, answer = failure.code, failure.body
        return self._after(fault, code, answer) if fault is not None else (code, answer)

    def _before(self, fault: Fault) -> None:
        if fault.kind == "wait_before":
            time.sleep(fault.seconds)
        if fault.kind == "drop_before":
            raise _Dropped

    def _after(self, fault: Fault, code: int, answer: Any) -> tuple[int, Any]:
        if fault.kind == "wait_after":
            time.sleep(fault.seconds)
        if fault.kind == "drop_after":
            raise _Dropped
        return (200, fault.message or "<html>Sign in to continue</html>") if fault.kind == "garbage" else (code, answer)

    def _reply(self, code: int, answer: Any) -> None:
        html = isinstance(answer, str)
        raw = answer.encode() if html else json.dumps(answer, ensure_ascii=False).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "text/html" if html else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            retry_after = None if html else answer.get("details", {}).get("retryAfterSeconds")
            if retry_after is not None:
                self.send_header("Retry-After", str(retry_after))
            self.end_headers()
            self.wfile.write(raw)
        except (BrokenPipeError, ConnectionResetError):
            # The client gave up waiting; what was applied stays applied.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the request log is asked for at /_double/requests."""


class Server(ThreadingHTTPServer):
    """Loopback only; threads die with the process."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away or do not trust us; anything else is a fault of the double."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def serve(port: int, token: str, period: float, certificate: str = "") -> Server:
    """A listening server, its controllers running; the caller runs ``serve_forever``. With a certificate it speaks TLS only."""
    cluster = Cluster(token, period)
    handler = type("BoundHandler", (Handler,), {"cluster": cluster})
    threading.Thread(target=cluster.run_controllers, daemon=True).start()
    server = Server(("127.0.0.1", port), handler)
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server

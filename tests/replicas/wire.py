"""A real network between one daemon and one server: a link into a network namespace of its own. Cut, it loses every packet, and no kernel is told.

The daemon stays where it is; the far end of the link, and a port behind it that forwards to the server, lie in the namespace. That lives as long as
we hold it open, and takes the link with it: nothing is left, however the tests end.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from tests.replicas.pipe import Pipe

CLONE_NEWNET = 0x40000000
_links = itertools.count(1)
Found = TypeVar("Found")


class Wire(Pipe):
    """The same as a pipe, over a link of its own. Numbers for links that other runs of the tests do not use, too, come from our process id."""

    def __init__(self, port: int) -> None:
        number = next(_links)
        self._namespace = _elsewhere(_unshare)
        self._far = f"rbf{os.getpid()}.{number}"
        # 198.18.0.0/15 is set aside for tests of networks (RFC 2544): it is nobody's.
        place = (os.getpid() * 64 + number) % 2**15 * 4
        near_ip, far_ip = (f"198.{18 + place // 2**16}.{place // 2**8 % 2**8}.{place % 2**8 + end}" for end in (1, 2))
        try:
            self._lay(f"rbn{os.getpid()}.{number}", near_ip, far_ip)
            super().__init__(port, _elsewhere(lambda: self._listen(far_ip)))
        except BaseException:
            os.close(self._namespace)
            raise

    def cut(self) -> None:
        """What is sent from either end is lost; nobody is told."""
        self._ip_there("link", "set", self._far, "down")

    def mend(self) -> None:
        """What is sent from now on arrives, and so does what a kernel sends again."""
        self._ip_there("link", "set", self._far, "up")

    def close(self) -> None:
        super().close()
        os.close(self._namespace)

    def _lay(self, near: str, near_ip: str, far_ip: str) -> None:
        macs = [f"02:00:{os.getpid() >> 16 & 255:02x}:{os.getpid() >> 8 & 255:02x}:{os.getpid() & 255:02x}:{end:02x}" for end in (1, 2)]
        there = f"/proc/self/fd/{self._namespace}"
        self._ip("link", "add", near, "address", macs[0], "type", "veth", "peer", "name", self._far, "address", macs[1], "netns", there)
        self._ip("address", "add", f"{near_ip}/30", "dev", near)
        self._ip("link", "set", near, "up")
        self._ip_there("address", "add", f"{far_ip}/30", "dev", self._far)
        self._ip_there("link", "set", self._far, "up")
        # Known for good: a question for the address of a host that does not answer would tell within seconds that it is gone.
        self._ip("neighbour", "replace", far_ip, "lladdr", macs[1], "dev", near, "nud", "permanent")

    def _listen(self, address: str) -> socket.socket:
        _call("setns", self._namespace, CLONE_NEWNET)
        return socket.create_server((address, 0))

    def _ip(self, *words: str) -> None:
        _run(["ip", *words], self._namespace)

    def _ip_there(self, *words: str) -> None:
        _run(["nsenter", f"--net=/proc/self/fd/{self._namespace}", "ip", *words], self._namespace)


@contextlib.contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """A wire to this loopback port, gone at the end."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()


@functools.cache
def no_namespaces() -> str:
    """Why no wire can be laid here; empty where one can."""
    if absent := [tool for tool in ("ip", "nsenter") if shutil.which(tool) is None]:
        return f"a real partition needs {' and '.join(absent)}"
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, wire_to(server.getsockname()[1]):
            return ""
    except (OSError, AssertionError) as fault:
        return f"a real partition needs network namespaces, which are not allowed here: {fault}"


def _unshare() -> int:
    _call("unshare", CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _elsewhere(work: Callable[[], Found]) -> Found:
    """Done in a thread of its own: a thread that has moved to another namespace cannot be used for anything else."""
    found: list[Found] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except OSError as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return found[0]


def _call(name: str, *arguments: int) -> None:
    """Raises OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _run(argv: list[str], namespace: int) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, pass_fds=(namespace,))
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"

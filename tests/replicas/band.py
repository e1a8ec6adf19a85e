"""Several daemons on one journal in PostgreSQL: one service, one receiver, a data folder and networks of its own for each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.crash.life import Life
from tests.crash.places import Deployment
from tests.crash.scene import Meter, Record, Scene, Told, World, record_of
from tests.crash.stores import Shared
from tests.doubles.kube import write_kubeconfig
from tests.exposition import Loopback, Reply, serving
from tests.postgres import Postgres
from tests.replicas.pipe import Pipe, pipe_to

WayTo = Callable[[int], AbstractContextManager[Pipe]]
"""Makes a way to a loopback port."""


class Replica(Scene):
    """One of them. ``database`` and ``api``: its ways to PostgreSQL and to the API server."""

    def __init__(self, folder: Path, place: Deployment, meter: Meter, page: Loopback, receiver: Loopback, journal: Shared, ways: "Ways") -> None:
        self.database, self.api = ways.database, ways.api
        folder.mkdir()
        super().__init__(folder, place, meter, page, receiver, World(journal))

    def _config_of(self, page: str, receiver: str) -> dict[str, Any]:
        assert isinstance(self.place, Deployment)
        kubeconfig = self.folder / "kubeconfig.yaml"
        write_kubeconfig(kubeconfig, f"http://{self.api.address}", self.place.world.token)
        (self.folder / "password").write_text("none is asked for\n")
        url = f"postgresql://postgres@{self.database.address}/{self.folder.parent.name}"
        store = {"url": url, "password_file": str(self.folder / "password")}
        return {**super()._config_of(page, receiver), "clusters": {"test": {"kubeconfig": str(kubeconfig)}}, "store": store}


class Ways:
    """What one replica reaches the others' things by."""

    def __init__(self, database: Pipe, api: Pipe) -> None:
        self.database, self.api = database, api


class Band:
    """The replicas and what they share."""

    def __init__(self, replicas: Sequence[Replica], place: Deployment, meter: Meter, journal: Shared) -> None:
        self.replicas, self.place, self.meter = replicas, place, meter
        self._journal = journal

    def start(self, *fate: str) -> list[Life]:
        """All are starting, with this fate; the first makes the journal, the others meet it being made."""
        return [replica.start(*fate) for replica in self.replicas]

    def ship(self) -> None:
        """All are at work and have seen the good version; then somebody breaks the service."""
        for replica in self.replicas:
            replica.until(lambda replica=replica: replica.answer("/readyz") == 200 and replica.slots(), "it is at work")
        self.replicas[0].ship()

    def until(self, claim: Callable[[], object], what: str) -> None:
        """Returns once the claim holds. Some of the daemons may be dead or frozen by then."""
        living = next(r for r in self.replicas if r.lives[-1].process.poll() is None and not r.lives[-1].is_frozen())
        living.until(claim, what)

    def until_told(self, kind: str) -> None:
        """Returns once on-call got a message of this kind."""
        self.until(lambda: kind in [told.kind for told in self.told()], f"a message {kind!r}")

    def told(self) -> list[Told]:
        """Every message that reached on-call, as often as it came."""
        return self.replicas[0].told()

    def record(self) -> Record:
        """What stands now."""
        return record_of(self._journal, self.place)

    def frozen(self) -> list[Replica]:
        """Those that are stopped."""
        return [replica for replica in self.replicas if replica.lives[-1].is_frozen()]


@contextmanager
def band_of(count: int, folder: Path, place: Deployment, server: Postgres, api_port: int, way_to: WayTo = pipe_to) -> Iterator[Band]:
    """So many replicas, not started yet; everything of them ends with it. ``folder`` is named as the database is."""
    meter, journal = Meter(place.is_broken), Shared(server, folder.name)
    with ExitStack() as stack:
        page, receiver = stack.enter_context(serving(meter.page)), stack.enter_context(serving(Reply(status=204)))
        replicas = []
        for number in range(count):
            ways = Ways(stack.enter_context(way_to(server.port)), stack.enter_context(way_to(api_port)))
            replicas.append(Replica(folder / f"replica-{number}", place, meter, page, receiver, journal, ways))
            stack.callback(replicas[-1].clear)
        yield Band(replicas, place, meter, journal)

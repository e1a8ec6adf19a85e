"""The slow lane: endpoints that kept the last one who asked them waiting in vain are asked beside the rounds, so that no other waits for them."""

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

_WORKERS = 8
log = structlog.get_logger()


class Lane:
    """Asks a few at a time. Belongs to the thread of the rounds of the source with this name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._asked: dict[str, Future[None]] = {}

    def ask(self, url: str, question: Callable[[], None]) -> None:
        """The question is put when a thread is free; it is dropped while the last one of this url has not ended."""
        if not self.is_asking(url):
            self._pool = self._pool or ThreadPoolExecutor(_WORKERS, f"scrape-{self._name}-slow")
            self._asked[url] = self._pool.submit(self._put, question)

    def is_asking(self, url: str) -> bool:
        """Its last question has not ended, or was not even put."""
        return url in self._asked and not self._asked[url].done()

    def keep(self, urls: Collection[str]) -> None:
        """Only these are asked from now on, but for questions that were put already."""
        self._asked = {url: last for url, last in self._asked.items() if url in urls or not (last.cancel() or last.done())}

    def end(self, within: float | None = None) -> bool:
        """Whether all that was asked has ended, for which ``within`` seconds were waited [for ever]; no thread is left then."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        asked, self._asked = self._asked.values(), {}
        return not wait(asked, within).not_done

    def _put(self, question: Callable[[], None]) -> None:
        try:
            question()
        except Exception:  # the seam: nobody waits for this thread, so nobody would hear of it
            log.exception("scrape.crashed", source=self._name)

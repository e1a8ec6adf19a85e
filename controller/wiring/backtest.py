"""A Prometheus for a backtest: the daemon's own source, which may take longer to answer."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rollbackd.adapters.prometheus import Prometheus

ANSWERS_WITHIN = timedelta(seconds=60)
"""A range of thousands of steps takes its time, and nobody is waiting for a rollback."""


def past_source(
    name: str, url: str, token_file: Path | None, ca_file: Path | None, scrape_interval: timedelta, match: Sequence[tuple[str, str]]
) -> Prometheus:
    """The source ``name`` at ``url``. Raises Permanent where the address is none."""
    return Prometheus(name, url, token_file=token_file, ca_file=ca_file, scrape_interval=scrape_interval, timeout=ANSWERS_WITHIN, match=match)

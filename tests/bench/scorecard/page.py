"""docs/accuracy.md from a run, with its plot: everything on it follows from the outcomes."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.scorecard import plot, tables
from tests.bench.scorecard.judges import BASELINES
from tests.bench.scorecard.plan import SEED
from tests.bench.scorecard.reach import Figure
from tests.bench.scorecard.run import Outcome

HEAD = """\
# How often rollbackd is wrong

Measured, not promised: services of known truth are made by a seeded generator, and rollbackd and five baselines judge each of them in the same
run. The generator knows what every service is asked to keep (at most 5 % errors, at most 5 % of requests slower than 2 s) and nothing of who judges
it.

    {command}

Seed {seed}, on {machine}.

The same seed gives the same figures on any machine, except what `step` costs, which is measured as in [benchmarks.md](benchmarks.md).
`python -m tests.bench.scorecard --quick` runs a few services of each row, `--only NAME` one section or kind, `--json` prints everything. This page
and its plot are written by the command.

![False rollbacks and time to proof by traffic](accuracy.svg)

## What was to be reached

{reached}

"Met, interval reaches beyond": the measured value keeps the target, and so few services were made that chance alone could hide a worse one.
Intervals are 95 %: Wilson's for shares, order statistics for medians. A change that was never found counts as an endless wait.
{unmet}
"""
TAIL = """\
## How it was measured

- **Healthy changes**: `plain` (a true error rate between 0.1 % and 4 %), `at-limit` (5 % exactly), `bursty-errors` (2 to 8 errors at a time on
  average), `bursty-arrivals`, `deploy-blip` (10 to 40 % errors while the pods are swapped), `scrape-gaps` (up to five gaps of half a minute to a
  quarter of an hour), `restarts` (counters begin anew). Traffic has a daily and a weekly season. An hour is seen before each change; a scrape every
  15 s.
- **A coincident fault** begins at some time in the watch of a healthy change and lasts 5 to 40 minutes: a *dependency* fails, a *node* takes one or
  two of the pods, *traffic* grows two- to sixfold and overloads, something *upstream* breaks. Four to twelve services around it changed nothing;
  the fault reaches some of them within two minutes: 40 to 100 % of them (dependency), 20 to 60 % (node), 30 to 100 % (traffic), 10 to 50 %
  (upstream). A fault that reaches fewer than two neighbours looks from outside like the change's own; the second table counts the others.
- **Bad changes among others**: the same four to twelve services around a bad change, and nothing happens to them.
- **Bad changes**: errors from the first minute on, a late onset in the last third of the watch, a partial outage (one of the pods fails
  everything), slow responses (the whole distribution grows until its p95 is 3 s).
- **Traffic that stops**, from the change's first minute on, with the pods well or none of them ready; two hours are seen before it, and no week
  before, so it is compared with the hour before. The policy is `use: traffic-drop`, with what the pods say of themselves beside it. Where they are
  well it suggests, and a suggestion counts as found there. It asks for 50 expected requests in its two minutes: at 20 requests a minute they are
  not there, unless the day is busy, and silence proves nothing.
- **Memory** (all pods alike): a leak of 70 % of their limit in a quarter to three quarters of an hour; and healthy pods that fill up after each start
  and breathe by 5 to 30 % with the day, up to 95 to 100 % of their limit at its peak, which lies between an hour before the change and two hours
  after it. The policy is `use: memory`; the release before is two hours old.
- **Seasonal gauges**: one sample a minute, a daily season (5 to 50 %), a weekly one (up to 20 %), noise with memory, spikes; of half of them the
  change shifts the level up by 20 to 100 %. Watched for six hours under `above: {{of_before: 120%}}`, a look each minute; the source has what was
  before the change, yesterday and last week. Their seasons are the same every day and every week, which real ones are not.
- **Waits** count from the true onset to the look that proves it. For rollbackd they include the delay of the source (one scrape and five seconds) and
  the warm-up after the change; baselines read what is there at once.
- **rollbackd** is the shipped code: policies from YAML (`errors above: 5%`, p95 `above: 2000ms`, each `for: 45s`, all else by default; traffic,
  memory and gauges have policies of their own, see above), the replay of
  `rollbackd backtest`, and readings as the source gives them over the same scrapes. What it held and left to people counts as not rolled back.

The baselines, by the numbers of their own documentation. All of them are given the same limits (5 % errors, 5 % slow), and all of the traffic, where
Flagger and Argo Rollouts would see a part of it at first:

| judge | rule | from |
|---|---|---|
{baselines}

Flagger and Argo Rollouts stop looking once they have promoted, so they cannot find a late onset. A check without values fails in Flagger, and 0/0
is not at least 0.95 in Argo Rollouts: it costs them healthy changes where traffic is low. The rank test has no old version beside the new one
here, so the hour before is its control; it judges once an hour.

## What it does not say

- The services are made, not met. Real errors come in ways nobody thought of; try a policy on your own history with `rollbackd backtest`.
- The Numenta Anomaly Benchmark is not shipped. `.venv/bin/python -m tests.bench.scorecard --nab FOLDER` runs its series without labels, and
  the holes of all, through a real Prometheus; what came of it is in [benchmarks.md](benchmarks.md#on-series-that-somebody-met).
"""


def write(docs: Path, outcomes: Sequence[Outcome], figures: Sequence[Figure], seed: int) -> None:
    """The page and its plot, in ``docs``."""
    (docs / "accuracy.svg").write_text(plot.draw(outcomes))
    head = HEAD.format(command=_command(seed), seed=seed, machine=machine(), reached=tables.reached(figures).markdown(), unmet=_unmet(figures))
    middle = "\n\n".join(f"## {table.title}\n\n{table.markdown()}" for table in tables.tables(outcomes))
    rows = "\n".join(f"| {one.name} | {one.rule} | {one.source} |" for one in BASELINES.values())
    (docs / "accuracy.md").write_text("\n".join([head, middle, "", TAIL.format(baselines=rows)]))


def _command(seed: int) -> str:
    return "make scorecard" if seed == SEED else f".venv/bin/python -m tests.bench.scorecard --write --seed {seed}"


def _unmet(figures: Sequence[Figure]) -> str:
    """Said in so many words, above everything else."""
    missed = [one for one in figures if one.is_met is False]
    if not missed:
        return ""
    lines = "\n".join(f"- {one.what}: {one.row()[2]}, where {one.row()[1]} was to be reached" for one in missed)
    return f"\n**Not met:**\n\n{lines}\n"


def machine() -> str:
    """What it ran on, without a date. The deciding code is named by its content, which no merge renames."""
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD:policies"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    tree = f"`git rev-parse HEAD:policies` = {told.stdout.strip()}" if told.returncode == 0 else "no git repository"
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {tree}"

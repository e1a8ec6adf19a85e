"""The e-value against exact sums, and the bound that it promises."""

import itertools
import math
import random
from fractions import Fraction

import pytest

from rollbackd.policies.judge.evalue import log_evalue, mixed, weight

THRESHOLD = math.log(100)


def exact(bad: int, total: int, limit: Fraction) -> float:
    """ln E of at least one bad one, in rational arithmetic: the integral as a finite sum over the binomial distribution of ``total``."""
    tail = sum(math.comb(total, i) * limit**i * (1 - limit) ** (total - i) for i in range(bad))
    value = tail / (bad * math.comb(total, bad) * limit**bad * (1 - limit) ** (total - bad))
    return math.log(value.numerator) - math.log(value.denominator) - math.log(-math.log(limit))


def summed(bad: int, total: int, limit: float) -> float:
    """The same for counts of any size: the binomial tail term by term in logs, from its largest term on until the rest is nothing."""

    def log_term(i: int) -> float:
        ways = math.lgamma(total + 1) - math.lgamma(i + 1) - math.lgamma(total - i + 1)
        return ways + i * math.log(limit) + (total - i) * math.log1p(-limit)

    top = log_term(min(bad - 1, int(total * limit)))
    terms, i = [], bad - 1
    while i >= 0 and (i > total * limit or log_term(i) > top - 40):
        terms.append(math.exp(log_term(i) - top))
        i -= 1
    return top + math.log(math.fsum(terms)) - log_term(bad) - math.log(bad) - math.log(-math.log(limit))


def without_bad(total: int, limit: float) -> float:
    """ln E of no bad one: 1 / p as the geometric series of 1 - p, integrated term by term. All terms are positive."""
    terms = (math.exp(more * math.log1p(-limit)) / (total + more) for more in range(1, math.ceil(45 / limit)))
    return math.log(math.fsum(terms)) - math.log(-math.log(limit))


LIMITS = [Fraction(1, 1000), Fraction(1, 20), Fraction(1, 2), Fraction(19, 20)]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("bad", "total"), [(1, 1), (1, 2), (1, 50), (3, 50), (50, 50), (20, 400), (21, 400), (400, 400)])
def test_it_is_the_exact_sum(bad, total, limit):
    assert log_evalue(bad, total, float(limit)) == pytest.approx(exact(bad, total, limit), abs=1e-10)


@pytest.mark.parametrize("total", [10**4, 10**5, 10**6, 10**7])
@pytest.mark.parametrize("ratio", [0.02, 0.0499, 0.05, 0.0501, 0.06, 0.2])
def test_it_is_the_sum_in_logs_for_large_counts(total, ratio):
    bad = round(ratio * total)
    # What is compared with loses 1e-9 of its own logs at ten million.
    assert log_evalue(bad, total, 0.05) == pytest.approx(summed(bad, total, 0.05), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("total", [0, 1, 50, 400, 10**4, 10**5, 10**6, 10**7])
def test_without_a_bad_one_it_is_the_sum_of_its_series(total, limit):
    assert log_evalue(0, total, float(limit)) == pytest.approx(without_bad(total, float(limit)), abs=1e-9)


@pytest.mark.parametrize(("bad", "total"), [(0.25, 0.25), (0.5, 3.0), (2.75, 20.5), (7.5, 150.25)])
def test_fractions_are_taken_as_they_are(bad, total):
    """Against the integral itself, by the midpoints of many stripes of equal weight in the mixture."""
    limit, stripes = 0.05, 20_000
    shares = [limit ** (1 - (stripe + 0.5) / stripes) for stripe in range(stripes)]
    ratios = (bad * math.log(share / limit) + (total - bad) * math.log((1 - share) / (1 - limit)) for share in shares)
    assert log_evalue(bad, total, limit) == pytest.approx(math.log(math.fsum(map(math.exp, ratios)) / stripes), abs=1e-5)


@pytest.mark.parametrize("limit", [0.001, 0.05, 0.5, 0.999])
def test_no_evidence_speaks_neither_way(limit):
    assert log_evalue(0, 0, limit) == pytest.approx(0.0, abs=1e-9)


def test_more_errors_speak_louder_and_more_successes_quieter():
    assert log_evalue(11, 100, 0.05) > log_evalue(10, 100, 0.05) > log_evalue(10, 101, 0.05)


@pytest.mark.parametrize(("bad", "total", "limit"), [(-1, 5, 0.05), (6, 5, 0.05), (1, 5, 0.0), (1, 5, 1.0), (math.nan, 5, 0.05)])
def test_what_is_no_share_is_refused(bad, total, limit):
    with pytest.raises(ValueError, match="no counts and limit of a share"):
        log_evalue(bad, total, limit)


def test_a_sum_that_does_not_end_is_a_fault_and_no_evidence():
    with pytest.raises(ArithmeticError, match="did not converge"):
        log_evalue(5, math.inf, 0.05)


def test_a_service_exactly_at_its_limit_is_rarely_called_bad_however_often_it_is_looked_at():
    """The promise itself: 500 services, 120 looks each; at most 1 % ever cross, and the seed is fixed."""
    dice = random.Random(7)
    crossed = 0
    for _ in range(500):
        bad = total = 0
        for _ in range(120):
            total += 10
            bad += sum(dice.random() < 0.05 for _ in range(10))
            if log_evalue(bad, total, 0.05) >= THRESHOLD:
                crossed += 1
                break
    assert crossed <= 5


def test_a_late_onset_is_found_by_the_mixture_and_not_without_it():
    healthy, broken = (6, 600), (20, 100)
    since_change = log_evalue(healthy[0] + broken[0], healthy[1] + broken[1], 0.05)
    since_soon = log_evalue(healthy[0] - 1 + broken[0], healthy[1] - 20 + broken[1], 0.05)
    since_onset = log_evalue(*broken, 0.05)
    assert max(since_change, since_soon) < THRESHOLD < mixed([since_change, since_soon, since_onset], 12)


@pytest.mark.parametrize("starts", [0, 1, 2, 12, 73])
def test_the_starts_share_one_whole(starts):
    assert math.fsum(weight(start, starts) for start in range(starts + 1)) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("starts", "weights"),
    [(0, [1.0]), (1, [0.5, 0.5]), (2, [0.5, 0.25, 0.25]), (6, [0.5, 0.25, 0.05, 0.05, 0.05, 0.05, 0.05])],
)
def test_half_is_the_change_and_a_quarter_the_first_later_start(starts, weights):
    assert [weight(start, starts) for start in range(starts + 1)] == weights


def test_starts_that_have_not_come_count_one():
    assert mixed([0.0], 12) == pytest.approx(0.0)
    assert mixed([math.log(4)], 3) == pytest.approx(math.log(0.5 * 4 + 0.25 + 0.125 + 0.125))
    assert mixed([math.log(4), math.log(8)], 3) == pytest.approx(math.log(0.5 * 4 + 0.25 * 8 + 0.125 + 0.125))
    assert mixed([math.log(4), math.log(8), math.log(16)], 3) == pytest.approx(math.log(0.5 * 4 + 0.25 * 8 + 0.125 * 16 + 0.125))


def test_once_all_have_come_nothing_is_counted_one():
    assert mixed([-math.inf, math.log(8), -math.inf, math.log(16)], 3) == pytest.approx(math.log(0.25 * 8 + 0.125 * 16))


@pytest.mark.parametrize(("come", "starts"), [(0, 0), (0, 12), (1, 12), (12, 12), (73, 73)])
def test_a_mixture_of_no_evidence_is_none(come, starts):
    assert mixed([0.0] * (come + 1), starts) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("starts", [2, 3, 12, 73])
def test_at_the_limit_the_mixture_is_expected_to_be_one(starts):
    """Exactly, over all that three blocks of 4, 5 and 3 events can count, the second and third of which begin a later start."""
    limit, sizes = 0.3, (4, 5, 3)
    found = []
    for bads in itertools.product(*(range(size + 1) for size in sizes)):
        chance = math.prod(math.comb(size, bad) * limit**bad * (1 - limit) ** (size - bad) for bad, size in zip(bads, sizes, strict=True))
        since = [log_evalue(sum(bads[block:]), sum(sizes[block:]), limit) for block in range(3)]
        found.append(chance * math.exp(mixed(since, starts)))
    assert math.fsum(found) == pytest.approx(1.0, abs=1e-9)


def test_without_later_starts_the_mixture_is_all_on_the_first():
    assert mixed([2.0], 0) == 2.0


def test_proof_without_end_stays_so_in_a_mixture():
    assert mixed([-math.inf, math.inf], 1) == math.inf
    assert mixed([-math.inf, -math.inf], 1) == -math.inf

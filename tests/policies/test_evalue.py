"""The e-value against exact sums, and the bound that it promises."""

import math
import random
from fractions import Fraction

import pytest

from rollbackd.policies.judge.evalue import log_evalue, mixed

THRESHOLD = math.log(100)


def exact(bad: int, total: int, limit: Fraction) -> float:
    """ln E in rational arithmetic: the integral as a finite sum over the binomial distribution of total + 1."""
    n = total + 1
    tail = sum(math.comb(n, i) * limit**i * (1 - limit) ** (n - i) for i in range(bad + 1))
    value = tail / (math.comb(total, bad) * n * (1 - limit) * limit**bad * (1 - limit) ** (total - bad))
    return math.log(value.numerator) - math.log(value.denominator)


def summed(bad: int, total: int, limit: float) -> float:
    """ln E for counts of any size: the binomial tail term by term in logs, from its largest term on until the rest is nothing."""
    n = total + 1

    def log_term(i: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(limit) + (n - i) * math.log1p(-limit)

    top = log_term(min(bad, int(n * limit)))
    terms, i = [], bad
    while i >= 0 and (i > n * limit or log_term(i) > top - 40):
        terms.append(math.exp(log_term(i) - top))
        i -= 1
    tail = top + math.log(math.fsum(terms))
    beta = math.lgamma(bad + 1) + math.lgamma(total - bad + 1) - math.lgamma(total + 2)
    return beta + tail - math.log1p(-limit) - bad * math.log(limit) - (total - bad) * math.log1p(-limit)


@pytest.mark.parametrize("limit", [Fraction(1, 1000), Fraction(1, 20), Fraction(1, 2), Fraction(19, 20)])
@pytest.mark.parametrize(("bad", "total"), [(0, 0), (0, 1), (1, 1), (0, 50), (3, 50), (50, 50), (20, 400), (21, 400), (0, 400), (400, 400)])
def test_it_is_the_exact_sum(bad, total, limit):
    assert log_evalue(bad, total, float(limit)) == pytest.approx(exact(bad, total, limit), abs=1e-10)


@pytest.mark.parametrize("total", [10**4, 10**5, 10**6, 10**7])
@pytest.mark.parametrize("ratio", [0.0, 0.02, 0.0499, 0.05, 0.0501, 0.06, 0.2])
def test_it_is_the_sum_in_logs_for_large_counts(total, ratio):
    bad = round(ratio * total)
    # What is compared with loses 1e-9 of its own logs at ten million.
    assert log_evalue(bad, total, 0.05) == pytest.approx(summed(bad, total, 0.05), rel=1e-6, abs=1e-6)


def test_no_evidence_speaks_neither_way():
    assert log_evalue(0, 0, 0.05) == pytest.approx(0.0, abs=1e-12)


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
    since_onset = log_evalue(*broken, 0.05)
    assert since_change < THRESHOLD < mixed([since_change, since_onset], 12)


def test_starts_that_have_not_come_count_one():
    assert mixed([0.0], 12) == pytest.approx(0.0)
    assert mixed([math.log(4)], 2) == pytest.approx(math.log(0.5 * 4 + 0.5))
    assert mixed([math.log(4), math.log(8)], 2) == pytest.approx(math.log(0.5 * 4 + 0.25 * 8 + 0.25))


def test_without_later_starts_the_mixture_is_all_on_the_first():
    assert mixed([2.0], 0) == 2.0


def test_proof_without_end_stays_so_in_a_mixture():
    assert mixed([-math.inf, math.inf], 1) == math.inf
    assert mixed([-math.inf, -math.inf], 1) == -math.inf

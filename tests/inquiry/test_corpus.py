"""The labelled corpus: what is released is right, and nearly all that should be released is."""

from collections import Counter

import pytest

from tests.inquiry.corpus.cases import Case, read, written
from tests.inquiry.corpus.rules import LIMITS, RULES, build
from tests.inquiry.corpus.run import Result, ask, figures, report


@pytest.fixture(scope="module")
def corpus() -> tuple[list[Case], list[Result]]:
    cases = read()
    return cases, [ask(case) for case in cases]


def test_the_corpus_is_what_its_rules_make_and_large_enough() -> None:
    cases = read()
    assert written(build()) == written(cases)
    assert len(cases) >= 500
    assert len({case.id for case in cases}) == len(cases)
    counts = Counter(case.rule for case in cases)
    assert set(counts) == set(RULES)
    assert Counter(case.outcome for case in cases).keys() == {"EXACT", "VARIANT", "NONE", "AMBIGUOUS"}
    assert sum(case.meant is None for case in cases) >= 150


def test_every_case_comes_to_its_label(corpus: tuple[list[Case], list[Result]]) -> None:
    wrong = [
        (case.id, result)
        for case, result in zip(*corpus, strict=True)
        if case.rule not in LIMITS and (case.outcome, case.meant, case.differing) != result
    ]
    assert not wrong


def test_what_is_not_understood_yet_releases_nobody(corpus: tuple[list[Case], list[Result]]) -> None:
    results = [result for case, result in zip(*corpus, strict=True) if case.rule in LIMITS]
    assert results
    assert all(result.released is None for result in results)


def test_precision_is_one_and_recall_at_least_ninety_seven_in_a_hundred(
    corpus: tuple[list[Case], list[Result]],
) -> None:
    print("\n" + report(*corpus))  # noqa: T201  shown by pytest -s
    total = figures(*corpus)
    assert total.released == total.rightly
    assert total.precision == 1.0
    assert total.recall >= 0.97

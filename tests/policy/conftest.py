"""The last line of `make policy`: how many of the bad changes were refused, and how many of the good ones passed."""

from collections import Counter

import pytest

VERDICTS = {"test_a_bad_change_is_refused": "refused", "test_a_good_change_passes": "passed"}
RIGHT, ALL = Counter[str](), Counter[str]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts a result. With several processes, pytest calls it in the main one."""
    verdict = VERDICTS.get(report.nodeid.rpartition("::")[2].partition("[")[0])
    if verdict and report.when == "call":
        ALL[verdict] += 1
        RIGHT[verdict] += report.passed


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After pytest's own summary."""
    if ALL and not hasattr(config, "workerinput"):
        counts = [f"{verdict} {RIGHT[verdict]} of {ALL[verdict]}" for verdict in VERDICTS.values() if ALL[verdict]]
        config.get_terminal_writer().line(", ".join(counts))

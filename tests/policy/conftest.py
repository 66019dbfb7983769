"""The last line of `make policy`: how many of the bad changes were refused, and of the good ones let through."""

from collections import Counter

import pytest

VERDICTS = {"test_a_bad_change_is_refused": "refused", "test_a_good_change_is_let_through": "let through"}
RIGHT, ALL = Counter[str](), Counter[str]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called where the results come together, whatever the number of processes."""
    verdict = VERDICTS.get(report.nodeid.rpartition("::")[2].partition("[")[0])
    if verdict and report.when == "call":
        ALL[verdict] += 1
        RIGHT[verdict] += report.passed


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After pytest's own summary."""
    if ALL and not hasattr(config, "workerinput"):
        found = [f"{verdict} {RIGHT[verdict]} of {ALL[verdict]}" for verdict in VERDICTS.values() if ALL[verdict]]
        config.get_terminal_writer().line(", ".join(found))

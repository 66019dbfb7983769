"""The post-deploy check as tests: `STACK=prod .venv/bin/python -m pytest tests/integration`, on any stack, at any time.

The check runs once, when the tests are collected, and each of its findings is a test.
"""

import os

import pytest

import check
from operate import commands
from toolchain.report import ToolchainError


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    patience = float(os.environ.get("PATIENCE") or check.PATIENCE_SECONDS)
    try:
        findings = commands.findings(os.environ.get("STACK") or "dev", patience)
    except ToolchainError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize("finding", findings, ids=lambda finding: finding.what)


def test_the_stack_keeps_its_promise(finding: check.Finding) -> None:
    assert finding.kept, finding.detail

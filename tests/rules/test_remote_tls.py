"""Remote stores whose certificate is signed by an authority of the user's own, by the real senders."""

from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from config.settings.loading import load
from tests.rules import test_remote_logs, test_remote_otlp, test_remote_write
from tests.support.ports import free_port
from tests.support.program import PROJECT, pulumi_config
from tests.support.services import make_certificate
from tests.support.store import Store
from tests.support.wait import until

FAR = "https://far.internal"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


def settings(root: Path, config: dict[str, Any]) -> Settings:
    return load(pulumi_config(config), secret_keys=[], project=PROJECT, stack="test", root=root)


def test_samples_go_to_whom_the_authority_has_signed_and_to_nobody_else(tmp_path: Path, certificate: Path) -> None:
    ends = [{"name": "known", "url": f"{FAR}/w", "ca": "ca.pem"}, {"name": "unknown", "url": f"{FAR}/w"}]
    stack = settings(tmp_path, {"metrics": {"remote_write": ends}})
    known_store, unknown_store = Store(certificate), Store(certificate)
    with (
        known_store(),
        unknown_store(),
        test_remote_write.served(test_remote_write.Page) as page,
        test_remote_write.stack(
            tmp_path / "near",
            stack,
            {
                "known": f"https://127.0.0.1:{known_store.port}/w",
                "unknown": f"https://127.0.0.1:{unknown_store.port}/w",
            },
            page,
        ),
    ):
        until(lambda: "/w" in known_store.paths)
        until(lambda: "certificate signed by unknown authority" in (tmp_path / "near" / "log").read_text())
        assert not unknown_store.paths


def test_lines_go_to_whom_the_authority_has_signed(tmp_path: Path, certificate: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "shop").mkdir(parents=True)
    (logs / "shop" / "a.log").write_text("a line\n")
    remote = {"url": FAR, "ca": "ca.pem"}
    stack = settings(tmp_path, {"logs": {"files": str(logs), "system": "off", "remote": remote}})
    far = Store(certificate)
    with far(), test_remote_logs.shipping(tmp_path / "alloy", stack, free_port(), far.port):
        until(lambda: "/loki/api/v1/push" in far.paths)


def test_spans_and_records_go_to_whom_the_authority_has_signed(tmp_path: Path, certificate: Path) -> None:
    remote = {"remote": {"url": FAR, "ca": "ca.pem"}}
    config = {"traces": {"sampling": {"rest": 100, "decision_wait": "1s"}, **remote}, "logs": remote}
    near, far = Store(), Store(certificate)
    with (
        near(),
        far(),
        test_remote_otlp.collector(tmp_path, settings(tmp_path, config), near, far) as url,
    ):
        test_remote_otlp.send(url, "traces", "a-span")
        test_remote_otlp.send(url, "logs", "a-record")
        until(lambda: far.has("a-span") and far.has("a-record"))

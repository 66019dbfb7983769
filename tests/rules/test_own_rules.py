"""Rules as people bring them, judged by the real promtool: what is delivered is taken, and its message says something."""

import subprocess
from pathlib import Path

import yaml

from config.settings.own_rules import read
from toolchain import images

BROUGHT = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: disks, labels: {role: alert-rules}}
spec:
  groups:
    - name: disks
      partial_response_strategy: warn
      limit: 10
      rules:
        - alert: DiskFull
          expr: disk_used_ratio > 0.9
          for: 1m
        - record: disk:used:max
          expr: max(disk_used_ratio)
---
groups:
  - name: disks
    rules:
      - {alert: DiskGone, expr: disk_up == 0, labels: {severity: critical, on: call}, annotations: {description: gone}}
"""
SERIES = [
    {"series": 'disk_used_ratio{device="sda"}', "values": "0.95x10"},
    {"series": 'disk_up{device="sdb"}', "values": "0x10"},
]


def test_brought_rules_are_taken_and_their_messages_say_what_about(tmp_path: Path) -> None:
    (tmp_path / "disks.rules").write_text(BROUGHT)
    texts = read(["disks.rules"], tmp_path, stack_key="rule_files")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    full = {"severity": "warning", "device": "sda"}
    gone = {"severity": "critical", "device": "sdb", "on": "call"}
    test = {
        "interval": "1m",
        "input_series": SERIES,
        "alert_rule_test": [
            {
                "alertname": "DiskFull",
                "eval_time": "5m",
                "exp_alerts": [{"exp_labels": full, "exp_annotations": {"summary": "DiskFull is at 0.95, device sda"}}],
            },
            {
                "alertname": "DiskGone",
                "eval_time": "5m",
                "exp_alerts": [
                    {
                        "exp_labels": gone,
                        "exp_annotations": {"summary": "DiskGone is at 0, device sdb", "description": "gone"},
                    }
                ],
            },
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": list(texts), "tests": [test]}))
    command = [str(images.binary("promtool")), "test", "rules", "test.yaml"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

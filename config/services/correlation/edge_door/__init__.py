"""The door for edges, behind Caddy and `api_proxy`: it sets the label `host` of all metrics and lines.

    Caddy ── TLS ──▶ api_proxy ─┬─ metrics, edge in a header ──▶ here ── host ──▶ Prometheus
              credential, path, ├─ lines, edge in a header ────▶ here ── host ──▶ Loki
                           rate └─ OTLP, edge in a header ─────▶ otel_collector ── host ──▶ Jaeger, Loki

It keeps nothing: an edge is answered once Prometheus or Loki has answered, so what has been answered is stored. Prometheus' own
receiver of remote write cannot relabel. Programs that can (Alloy, Prometheus in agent mode, the collector) answer before they
have sent, and lose what they hold when they end; docs/architecture.md compares them.
"""

import json
from pathlib import Path

from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.services.correlation.edge_door.program import edges_file, server
from config.services.correlation.python_program import ENVIRONMENT, PythonProgram
from config.services.logs import log_pipeline
from config.settings import Settings

PORT = METRICS["edge_door"]
FILE = "edges.json"
PROGRAM = PythonProgram(Path(__file__).with_name("program"))


def container(settings: Settings) -> Container:
    """Requires `edges`."""
    text = file(settings)
    page = f"http://127.0.0.1:{PORT}"
    return Container(
        service="edge_door",
        command=PROGRAM.command(f"{DIRECTORY}/{FILE}", str(PORT)),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/healthy"),
        environment=ENVIRONMENT,
        go_memory_percent=0,
        grace_seconds=30,  # requests that have begun end
        config=ConfigFiles(
            files={FILE: text, **PROGRAM.files},
            validate=PROGRAM.validate("--check", FILE),
            since_start={f"{page}/program": server.version_of_program()},
            expect={
                f"{page}/edges": edges_file.read(text).version,
                f"{page}/metrics": "edge_door_config_last_reload_successful 1",
            },
        ),
    )


def file(settings: Settings) -> str:
    """The content of `edges.json`."""
    content = {
        "bounds": {name: bounds.series for name, bounds in sorted(settings.edges.items())},
        "labels": log_pipeline.LABELS,
        "samples": f"prometheus:{METRICS['prometheus']}",
        "lines": f"loki:{METRICS['loki']}",
    }
    return json.dumps(content, indent=1) + "\n"

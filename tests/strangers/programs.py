"""The programs: how each is started as its README says, and what the stack makes of it."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.strangers import products
from toolchain import nodejs

OTLP = ", by OTLP"
EXPORT = {"OTEL_METRIC_EXPORT_INTERVAL": "2000"}
"""Milliseconds. Not the usual minute: the rules of the tests look at half a one."""
# All detectors, as by default, would ask clouds for their metadata, and wait for an answer that never comes.
DETECTORS = {"OTEL_NODE_RESOURCE_DETECTORS": "env,host,os,serviceinstance"}
SMALL_JAVA = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m")
"""It shares two cores with everything else."""


@dataclass(frozen=True)
class Program:
    """A framework with whatever counts its requests."""

    name: str
    source: str
    """What counts its requests, as the label `source` says."""
    command: Callable[[str, int], Sequence[object]]
    """Address and port to listen on → the words of its command line."""
    environment: Mapping[str, str] = field(default_factory=dict)
    page: str = "/metrics"
    """Path of its metrics. Empty if it sends them."""
    telemetry: str = ""
    """Name of the published service that it sends to, if it does."""
    quantiles: bool = True
    """Whether it has a histogram."""
    active: bool = False
    """Whether it tells of requests in progress."""


def _python(*words: str) -> list[object]:
    return [products.python() / words[0], *words[1:]]


def _node(script: str, *options: str) -> Callable[[str, int], list[object]]:
    return lambda _, __: [nodejs.binary(), *options, products.NODE / script]


def _go(name: str) -> Callable[[str, int], list[object]]:
    return lambda host, port: [products.go() / name, f"{host}:{port}"]


def _spring(host: str, port: int) -> list[object]:
    folder = products.java() / "spring"
    bound = (f"--server.address={host}", f"--server.port={port}")
    return [*SMALL_JAVA, "-cp", f"{folder}:{folder}/*", "spring.Application", *bound]


def _agent(host: str, port: int) -> list[object]:
    folder = products.java()
    jar = folder / "plain" / "program.jar"
    return [*SMALL_JAVA, f"-javaagent:{folder}/agent.jar", "-cp", jar, "plain.Service", host, port]


def _flask(program: str, *before: str) -> Callable[[str, int], list[object]]:
    return lambda host, port: _python(*before, "flask", "--app", program, "run", "--host", host, "--port", str(port))


def _uvicorn(program: str, *before: str) -> Callable[[str, int], list[object]]:
    return lambda host, port: _python(*before, "uvicorn", f"{program}:app", "--host", host, "--port", str(port))


FLASK = Program("flask-exporter", "flask_exporter", _flask("flask_exporter"))
CLIENT_GOLANG = Program("client-golang", "http_requests_total", _go("clientgolang"))
EXPRESS = Program(
    "express-opentelemetry",
    f"OpenTelemetry{OTLP}",
    _node("express_plain.js", "--require", "@opentelemetry/auto-instrumentations-node/register"),
    environment=EXPORT | DETECTORS,
    page="",
    telemetry="otlp_http",
)
PROGRAMS = (
    FLASK,
    # Sends spans too: its requests are known twice.
    Program(
        "fastapi-instrumentator",
        "http_requests_total",
        _uvicorn("fastapi_instrumentator", "opentelemetry-instrument"),
        environment={"OTEL_METRICS_EXPORTER": "none"},
        telemetry="otlp_grpc",
    ),
    Program("starlette-exporter", "starlette_exporter", _uvicorn("starlette_exporter_app"), active=True),
    Program(
        "django-prometheus",
        "django_prometheus",
        lambda host, port: _python(
            *("python", "-m", "django", "runserver", "--noreload", "--settings", "django_site.settings"),
            f"{host}:{port}",
        ),
    ),
    Program(
        "flask-opentelemetry",
        f"OpenTelemetry, old names{OTLP}",
        _flask("flask_plain", "opentelemetry-instrument"),
        environment=EXPORT,
        page="",
        telemetry="otlp_grpc",
        active=True,
    ),
    Program("express-prom-bundle", "http_request_duration_seconds", _node("express_prom_bundle.js")),
    Program("fastify-metrics", "http_request_duration_seconds", _node("fastify_metrics.js")),
    EXPRESS,
    CLIENT_GOLANG,
    Program("gin", "gin_prometheus", _go("gin"), quantiles=False),
    Program("echo", "echoprometheus", _go("echo")),
    Program("spring-boot", "Micrometer", _spring, page="/actuator/prometheus", active=True),
    Program(
        "java-agent",
        f"OpenTelemetry{OTLP}",
        _agent,
        environment=EXPORT,
        page="",
        telemetry="otlp_http",
    ),
)
PLAIN = Program("plain", "", lambda host, port: _python("python", "plain.py", host, str(port)), page="")
"""Without any metric. A proxy stands in front of it."""


@contextlib.contextmanager
def running(
    program: Program, service: str, *, host: str, port: int, log: Path, telemetry: Mapping[str, str]
) -> Iterator[None]:
    """Runs a program as a process. Its output goes to the file `log`. `telemetry` has the addresses of the published services
    that take it."""
    own = {
        "HOST": host,
        "PORT": str(port),
        "PATH": f"{products.python()}:{os.environ['PATH']}",  # opentelemetry-instrument looks there
        "NODE_PATH": str(products.node() / "node_modules"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if program.telemetry:
        own |= {"OTEL_SERVICE_NAME": service, "OTEL_EXPORTER_OTLP_ENDPOINT": telemetry[program.telemetry]}
    with log.open("w") as output:
        # The kernel ends it, too, when the session is killed.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *map(str, program.command(host, port))],
            cwd=products.PYTHON,
            env={**os.environ, **own, **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.kill()  # by SIGTERM some would wait for seconds, to send what nobody needs any more
        process.wait()

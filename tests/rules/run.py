"""`make rules`: checks the alert rules with Prometheus' own tools, and that every alert has tests and a runbook.

    python -m tests.rules.run            check everything
    python -m tests.rules.run index      write docs/runbooks/README.md anew

promtool is the one built for the images (or PROMTOOL), pint is built from toolchain/pint (or PINT).

Loki checks the log alerts: see `logql.py`.

The test files beside this one use the rules for every job, with default thresholds. Of the annotations they see only the
headline, as summary. The rest is checked here: descriptions are plain text, and one line of code makes the runbook links.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from config.alerts import EVERYTHING, Alert, Group, groups, render
from config.alerts.rule import HEADLINE
from config.services.logs import loki_rules
from config.settings import Settings
from config.settings.thresholds import Thresholds
from tests.rules import logql
from tests.support import dashboard_queries
from tests.support.program import settings_of
from toolchain import golang, images
from toolchain.report import ToolchainError, readable_errors

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RUNBOOKS = ROOT / "docs" / "runbooks"
SETTINGS = settings_of(
    {
        "alerts": {"runbooks": "https://runbooks.invalid"},
        "external_urls": {"grafana": "https://grafana.invalid", "jaeger": "https://jaeger.invalid"},
        "exporters": {
            "probes": [{"name": "front", "target": "https://shop.example", "service": "shop"}],
            "redis": {"address": "cache:6379"},
        },
        "metrics": {
            "evaluation_interval": "1m",  # as the cases of SLOs have samples
            "remote_write": [{"name": "mimir", "url": "https://mimir.example.com/api/v1/push"}],
            "long_term": {"local": True},
        },
        "logs": {"remote": {"url": "https://logs.example.com"}},
        "traces": {"remote": {"url": "https://otlp.example.com"}},
        "slos": [
            {"name": "shop", "service": "shop", "objective": 99.9},
            {"name": "shop-fast", "service": "shop", "objective": 99, "latency": "500ms"},
            {"name": "front", "probe": "front", "objective": 99.9},
            {"name": "cache", "database": "redis", "objective": 99.9, "window": "7d"},
            {
                "name": "jobs",
                "service": "worker",
                "objective": 99,
                "total": "rate(jobs_total[5m])",
                "good": 'rate(jobs_total{state="done"}[5m])',
                "min_errors": 3,
            },
            {
                "name": "mails",
                "service": "worker",
                "objective": 99,
                "total": "rate(mails_total[5m])",
                "errors": "rate(mails_failed_total[5m])",
            },
        ],
    }
)
EDGES = settings_of(
    {
        "edges": {"db-1": {}, "web-2": {}},
        "door": {"domain": "centre.example.com"},
        "publish": {"caddy": "0.0.0.0:443"},
        "host_name": "centre",
    },
    secrets=["edge_password_db-1", "edge_password_web-2"],
)
"""A centre. With edges, rules are about one host each: so only the group about edges is made for it here."""
PINT_PACKAGE = "github.com/cloudflare/pint/cmd/pint"

ALWAYS_FIRES = {"Watchdog"}
"""Alerts that have no quiet case, because firing is their purpose."""

SECTIONS = ("## What it means", "## Check", "## Fix", "## Tune")
"""The sections of every runbook page, in this order."""

LINK = re.compile(r"\]\((\w+)\.md\)")
NOISE = re.compile(r"Checking |\s*SUCCESS|level=")
"""Lines in the output of promtool and pint that report no fault."""

Rule = tuple[str, str]
"""Name and severity of an alert: both alerts of a pair need tests."""


def main(arguments: list[str]) -> int:
    alerts = [rule for group in every_group() for rule in group.rules if isinstance(rule, Alert)]
    if arguments == ["index"]:
        (RUNBOOKS / "README.md").write_text(index(alerts))
        return 0
    faults = [*plain_texts(alerts), *runbooks(alerts)]
    with tempfile.TemporaryDirectory() as folder:
        faults += [
            *promtool(Path(folder)),
            *pint(Path(folder)),
            *logql.judge(Path(folder, "loki"), {**queries("logql"), **of_dashboards("loki")}),
        ]
    tested, untested = coverage(alerts)
    faults += untested
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"alerts {len(alerts)}, tested {tested}")
    return 1 if faults else 0


def every_group() -> tuple[Group, ...]:
    """Prometheus' groups, then Loki's."""
    of_edges = (group for group in groups(EDGES, EVERYTHING) if group.name == "edges")
    return (*groups(SETTINGS, EVERYTHING), *of_edges, *loki_rules.groups(SETTINGS))


def rendered_rules() -> dict[str, str]:
    """Every rule file: path → text."""
    return render(SETTINGS, EVERYTHING) | {"rules/edges.yml": render(EDGES, EVERYTHING)["rules/edges.yml"]}


def promtool(folder: Path) -> Iterator[str]:
    """Faults that promtool finds in the rendered rules, in the queries of runbooks and dashboards, and with the test files."""
    rendered = rendered_rules()
    write(folder / "full", rendered)
    # TargetMissing has a line for each job. Its cases know some, so that a new exporter needs no change there.
    jobs = frozenset(job for job in EVERYTHING if f'job="{job}"' in (HERE / "scrape.test.yml").read_text())
    in_tests = rendered | {"rules/scrape.yml": render(SETTINGS, jobs)["rules/scrape.yml"]}
    write(folder / "tests", {name: only_summaries(text) for name, text in in_tests.items()})
    write(folder, {"queries.yml": as_rules({**queries("promql"), **of_dashboards("prometheus")})})
    tests = [shutil.copy(test, folder / "tests") for test in sorted(HERE.glob("*.test.yml"))]
    rules = sorted((folder / "full" / "rules").glob("*.yml"))
    tool = os.environ.get("PROMTOOL") or images.binary("promtool")
    yield from complaints([tool, "check", "rules", folder / "queries.yml"], folder)
    unreadable = [*complaints([tool, "check", "rules", "--lint=all", "--lint-fatal", *rules], folder)]
    # Every test case would complain of a rule file that cannot be read.
    if unreadable:
        yield from unreadable
        return
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:  # promtool itself tests one file after the other
        for faults in side_by_side.map(lambda test: [*complaints([tool, "test", "rules", test], folder)], tests):
            yield from faults


def unmet(
    folder: Path,
    series: Sequence[Mapping[str, str]],
    expected: Mapping[str, Sequence[Mapping[str, object]]],
    settings: Settings = SETTINGS,
) -> list[str]:
    """What promtool finds after 17 minutes of `series`, when an alert that waits for ten has fired. `expected`: expression → its samples."""
    tests = [{"expr": expr, "eval_time": "17m", "exp_samples": samples} for expr, samples in expected.items()]
    document = {
        "rule_files": ["rules/applications.yml", "rules/response-times.yml"],
        "evaluation_interval": "1m",
        "fuzzy_compare": True,
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    write(folder, {**render(settings, EVERYTHING), "unmet.test.yml": yaml.safe_dump(document)})
    return [*complaints([images.binary("promtool"), "test", "rules", folder / "unmet.test.yml"], folder)]


def pint(folder: Path) -> Iterator[str]:
    """Faults that pint finds in the rules that `promtool` left in the folder. `.pint.hcl` lists the accepted ones."""
    try:
        tool = os.environ.get("PINT") or golang.tool("pint", PINT_PACKAGE)
    except ToolchainError as error:
        print(f"pint is not available here, so it does not check the rules: {error}")
        return
    command = [tool, "--offline", "--no-color", "--log-level=ERROR", "--config", ROOT / ".pint.hcl"]
    yield from complaints(
        [*command, "lint", "--min-severity=info", "--fail-on=info", folder / "full" / "rules"], folder
    )


def complaints(command: Sequence[str | Path], folder: Path) -> Iterator[str]:
    """The output of a tool that ends with an error, without noise."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        output = (result.stdout + result.stderr).replace(f"{folder}/", "").splitlines()
        worth_reading = [line for line in output if line.strip() and not NOISE.match(line)]
        yield "\n".join([f"{Path(command[0]).name}:", *worth_reading])


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def only_summaries(text: str) -> str:
    document: dict[str, Any] = yaml.safe_load(text)
    for rule in document["groups"][0]["rules"]:
        if "alert" in rule:
            rule["annotations"] = {"summary": rule["annotations"][HEADLINE]}
    return yaml.safe_dump(document, sort_keys=False)


def plain_texts(alerts: list[Alert]) -> Iterator[str]:
    """Descriptions without templates: the test files do not compare them."""
    for alert in alerts:
        if "{{" in alert.description or not alert.description.endswith("."):
            yield f"{alert.name}: the description must be plain sentences; variable parts belong in the summary"


def coverage(alerts: list[Alert]) -> tuple[int, list[str]]:
    """The number of alerts with a case in which they fire and one in which they stay quiet, and the faults of the others."""
    fires, quiet = set[Rule](), set[Rule]()
    missing: list[str] = []
    rules = {(alert.name, str(alert.severity)) for alert in alerts}
    names: list[str] = []
    for path in (*sorted(HERE.glob("*.test.yml")), logql.CASES):
        for case in yaml.safe_load(path.read_text())["tests"]:
            names.append(case["name"])
            for check in case["alert_rule_test"]:
                of_name = {rule for rule in rules if rule[0] == check["alertname"]}
                if not of_name:
                    missing.append(f"{path.name}: there is no alert called {check['alertname']}")
                firing = {(check["alertname"], expected["exp_labels"]["severity"]) for expected in check["exp_alerts"]}
                fires |= firing
                quiet |= of_name - firing
    missing += [f"{name}, {severity}: no case in which it fires" for name, severity in sorted(rules - fires)]
    missing += [
        f"{name}, {severity}: no case in which it stays quiet"
        for name, severity in sorted(rules - quiet)
        if name not in ALWAYS_FIRES
    ]
    missing += [f"two cases are called '{name}'" for name in sorted({name for name in names if names.count(name) > 1})]
    always = {rule for rule in rules if rule[0] in ALWAYS_FIRES}
    return len(rules & fires & (quiet | always)), missing


def pages() -> dict[str, str]:
    """The runbook pages: name of the alert → text."""
    return {page.stem: page.read_text() for page in sorted(RUNBOOKS.glob("*.md")) if page.name != "README.md"}


def runbooks(alerts: list[Alert]) -> Iterator[str]:
    """A page for every alert, an alert for every page, an index, and every threshold explained somewhere."""
    names = {alert.name for alert in alerts}
    texts = pages()
    yield from (f"docs/runbooks/{name}.md is missing" for name in sorted(names - set(texts)))
    yield from (f"docs/runbooks/{name}.md belongs to no alert" for name in sorted(set(texts) - names))
    keys = set(settings_keys(Settings))
    explained = set[str]()
    for name, text in texts.items():
        if not text.startswith(f"# {name}\n"):
            yield f"docs/runbooks/{name}.md does not begin with its name"
        places = [text.find(f"\n{section}\n") for section in SECTIONS]
        if -1 in places or places != sorted(places):
            yield f"docs/runbooks/{name}.md needs, in this order: {', '.join(SECTIONS)}"
        named = {
            key for key in re.findall(r"`([a-z_]+\.[a-z0-9_.]+)`", text) if key.split(".")[0] in Settings.model_fields
        }
        yield from (f"docs/runbooks/{name}.md: there is no setting {key}" for key in sorted(named - keys))
        yield from (
            f"docs/runbooks/{name}.md links to {to}, which does not exist"
            for to in LINK.findall(text)
            if to not in names
        )
        explained |= named
    thresholds = {f"alerts.thresholds.{key}" for key in Thresholds.model_fields}
    yield from (f"no page in docs/runbooks says what {key} does" for key in sorted(thresholds - explained))
    readme = RUNBOOKS / "README.md"
    if not readme.exists() or readme.read_text() != index(alerts):
        yield "docs/runbooks/README.md is not up to date: .venv/bin/python -m tests.rules.run index"


def settings_keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every key of a stack file, dotted."""
    for name, field in model.model_fields.items():
        yield path + name
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from settings_keys(part, f"{path}{name}.")


def queries(language: str) -> dict[str, str]:
    """The queries in the runbooks, one a line: place → query."""
    block = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return {
        f"docs/runbooks/{name}.md: query {number}": line
        for name, text in pages().items()
        for number, line in enumerate((line for lines in block.findall(text) for line in lines.splitlines()), start=1)
    }


def of_dashboards(source: str) -> dict[str, str]:
    """The queries in the dashboards: place → query, without Prometheus' variables, which are names of labels."""
    return {
        query.where: query.filled_in()
        for query in dashboard_queries.queries()
        if query.source == source and query.panel != "variable"
    }


def as_rules(expressions: dict[str, str]) -> str:
    """A rule file, for promtool to parse."""
    rules = [{"record": re.sub(r"\W+", ":", where), "expr": query} for where, query in expressions.items()]
    return yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]})


def index(alerts: list[Alert]) -> str:
    """docs/runbooks/README.md."""
    lines = [
        "# Runbooks",
        "",
        "One page for each alert: what it means, what to check, how to fix it, how to tune it. Every notification links to its page.",
        "",
        "In the commands, `<prefix>` is the stack's setting of that name. `<container>` or `<postgres>` is the name of your container.",
        "Run queries on Prometheus' own page: <http://127.0.0.1:9090> on the host, unless `publish.prometheus` names another address.",
        "Queries that begin with `{`, or count over such braces, are LogQL for Loki:",
        "`curl -sG http://127.0.0.1:3100/loki/api/v1/query_range --data-urlencode 'query={service=\"orders\"}'`.",
        "",
        "`python -m tests.rules.run index` writes this page from the rules in `config/alerts/` and `config/services/logs/loki_rules.py`.",
    ]
    for group in every_group():
        of_group = [alert for alert in alerts if alert in group.rules]
        if not of_group:
            continue
        lines += ["", f"## {group.name}", "", "| alert | severity | summary |", "|---|---|---|"]
        for name in dict.fromkeys(alert.name for alert in of_group):
            same = [alert for alert in of_group if alert.name == name]
            says = re.sub(r"{{.*?}}", "…", same[0].summary)
            lines.append(f"| [{name}]({name}.md) | {', '.join(alert.severity for alert in same)} | {says} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with readable_errors():
        sys.exit(main(sys.argv[1:]))

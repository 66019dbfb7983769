"""The annotations of an incident: what a person reads. Text from outside is bounded and on one line; the templates of
Alertmanager escape it for each receiver."""

import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from . import compose, logs, metrics, traces
from .evidence import Evidence
from .rules import SERVICE, Rules
from .text import duration, one_line, percent

TOTAL = 2000
"""Characters of the evidence: what a message has room for."""
_NAME, _IMAGE = 80, 120
"""Characters of a name, and of an image."""
_HEALING, _ACTIONS = "Self-healing: ", 5
_ABOUT = "What was found when it began. The alerts themselves came first; this one ends with the last of them."


def annotations(evidence: Evidence, alerts: Iterable[tuple[str, str]], rules: Rules) -> dict[str, str]:
    """`alerts`: name and service of each alert of the incident."""
    sentence = headline(evidence)
    return {
        "headline": sentence,
        "summary": sentence,
        "description": _ABOUT,
        "evidence": _bounded(_parts(evidence, alerts, rules)),
        **{
            name: address.replace(SERVICE, quote(evidence.service, safe="", errors="replace"))
            for name, address in rules.links.items()
        },
    }


def with_actions(annotations: dict[str, str], said: Iterable[str]) -> dict[str, str]:
    """The same, with what the stack has done by itself at the beginning of the evidence: the last five things."""
    lines = annotations.get("evidence", "").splitlines()
    known = [line for line in lines if line.startswith(_HEALING)]
    told = [*dict.fromkeys([*known, *(_HEALING + one for one in said)])][-_ACTIONS:]
    rest = [line for line in lines if not line.startswith(_HEALING)]
    return {**annotations, "evidence": _bounded([*told, *rest])}


def headline(evidence: Evidence) -> str:
    """One sentence: who, what, since when, after which change."""
    parts = [f"{_name(evidence.service)}: {_symptom(evidence)} since {clock(evidence.began)}"]
    if cause := evidence.cause:
        seconds = max(0, round(evidence.began - cause.at))
        elsewhere = f" in {_name(cause.service)}" if cause.service != evidence.service else ""
        parts.append(f"began {duration(seconds)} after {_change(cause)}{elsewhere}")
    return "; ".join(parts)


def _symptom(evidence: Evidence) -> str:
    told = []
    if evidence.errors and evidence.service in evidence.worse.get("errors", {}):
        told.append(f"{percent(evidence.errors.worst)} errors")
    if evidence.p95 and evidence.service in evidence.worse.get("p95", {}):
        told.append(f"one in twenty requests takes {duration(evidence.p95.worst)} or longer")
    return ", ".join(told) or "alerts"


def _change(change: metrics.Change) -> str:
    if not change.before:
        return "a container was started"
    return f"image {_image(change.image)} replaced {_tag(change)}"


def _tag(change: metrics.Change) -> str:
    """The image before; only its tag if the rest is the same."""
    (name, _, _), (before, _, tag) = change.image.rpartition(":"), change.before.rpartition(":")
    return one_line(tag, _NAME) if name == before and name else _image(change.before)


def _parts(evidence: Evidence, alerts: Iterable[tuple[str, str]], rules: Rules) -> Iterator[str]:
    """The most important first: what does not fit is left out at the end."""
    yield from (f"{missing}: what it knows is missing here." for missing in evidence.unanswered)
    if cause := evidence.cause:
        yield f"Changed at {clock(cause.at)} in {_name(cause.service)}: {_change(cause)}"
        if cause.before:
            yield f"To go back: {_back(evidence, cause)}"
    lines = evidence.lines
    for said, times in lines.frequent[:1]:
        yield f"Most frequent ({times} of {lines.read} errors): {said}"
    yield from map(_line, lines.newest[:1])
    yield from _traces(evidence, rules)
    yield from _elsewhere(evidence)
    if told := _named(alerts):
        yield f"Alerts: {told}"
    if evidence.deployment:
        message = one_line(logs.message(evidence.deployment.text), logs.LENGTH)
        yield f"Deployment of the observability stack at {clock(evidence.deployment.at)}: {message}"
        if evidence.commit_before:
            yield f"To go back with it: git checkout {evidence.commit_before} && make up STACK={rules.environment}"
    yield from map(_line, lines.newest[1:])


def _back(evidence: Evidence, cause: metrics.Change) -> str:
    """What a person would do; nothing is rolled back by itself."""
    service = compose.of_service(evidence.composed, cause.service)
    command = service.back_to(cause.before) if service else ""
    return command or f"run {_image(cause.before)} for {_name(cause.service)} again"


def _line(line: logs.Line) -> str:
    return f"{clock(line.at)} {_name(line.service)}: {one_line(line.text, logs.LENGTH)}"


def _traces(evidence: Evidence, rules: Rules) -> Iterator[str]:
    """Failing traces and a slow one; if Jaeger has none, the one that the newest line belongs to."""
    chosen = _chosen(evidence, rules.traces)
    yield from (_trace(trace, rules) for trace in chosen)
    if not chosen and (identifier := next((line.trace for line in evidence.lines.newest if line.trace), "")):
        yield f"Trace {rules.trace}{identifier} (of a line)"


def _chosen(evidence: Evidence, most: int) -> list[traces.Trace]:
    """Failing traces and one slow one, each once."""
    slow = evidence.slow[:1]
    chosen = [*evidence.failing[: max(0, most - len(slow))], *slow]
    return list({trace.identifier: trace for trace in chosen}.values())[:most]


def _trace(trace: traces.Trace, rules: Rules) -> str:
    root, blamed = trace.root, traces.origin(trace)
    took = f"{one_line(root.operation, _NAME)} took {duration(root.took)}"
    if blamed:
        ends = f"fails in {_name(blamed.service)}: {one_line(blamed.operation, _NAME)}"
    else:
        span = traces.slowest(trace)
        ends = f"most of it in {_name(span.service)}: {one_line(span.operation, _NAME)}"
    return f"Trace {rules.trace}{trace.identifier} ({took}, {ends})"


def _elsewhere(evidence: Evidence) -> Iterator[str]:
    words = {"errors": ("Errors elsewhere", percent), "p95": ("Slower elsewhere (p95)", duration)}
    for symptom, (title, written) in words.items():
        others = {name: value for name, value in evidence.worse.get(symptom, {}).items() if name != evidence.service}
        if others:
            yield f"{title}: {', '.join(f'{_name(name)} {written(value)}' for name, value in others.items())}"


def _named(alerts: Iterable[tuple[str, str]]) -> str:
    services: dict[str, list[str]] = {}
    for name, service in alerts:
        services.setdefault(name, []).append(service)
    told = (f"{_name(name)} ({', '.join(map(_name, sorted(of)[:5]))})" for name, of in sorted(services.items()))
    return one_line(", ".join(told), 400)


def _bounded(parts: Iterable[str]) -> str:
    text = ""
    for part in parts:
        if len(text) + len(part) >= TOTAL:
            break
        text += f"{part}\n"
    return text.rstrip()


def _name(name: str) -> str:
    return one_line(name, _NAME)


def _image(image: str) -> str:
    return one_line(image.removeprefix("docker.io/").removeprefix("library/"), _IMAGE)


def clock(at: float) -> str:
    """The time of day."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(at))

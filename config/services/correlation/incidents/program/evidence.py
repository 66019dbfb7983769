"""Collects the evidence of an incident: all APIs at once, all within five seconds."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from . import compose, logs, metrics, traces
from .asking import Asker, Inquiry, NoAnswerError
from .rules import Rules

PATIENCE = 5.0
"""Seconds for all questions."""
_FIRST = 2.5
"""Seconds of these for the questions that decide which service is to blame."""
RECENT = 900
"""Seconds: how old a line or a trace may be. An alert waits for up to ten minutes until it fires."""
_INVOLVED = 12
"""Services about which Prometheus is asked."""

T = TypeVar("T")


@dataclass
class Evidence:
    """What is known of an incident. What nobody has answered is missing, and `unanswered` says so."""

    service: str
    """The service that is to blame: that of the first alert, or one that it calls."""
    began: float
    """Seconds since 1970."""
    errors: metrics.Course | None = None
    p95: metrics.Course | None = None
    worse: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Symptom → service → its value."""
    lines: logs.Lines = field(default_factory=logs.Lines)
    failing: list[traces.Trace] = field(default_factory=list)
    slow: list[traces.Trace] = field(default_factory=list)
    cause: metrics.Change | None = None
    deployment: logs.Line | None = None
    """The last deployment of the stack itself, if it was in the hour before."""
    commit_before: str = ""
    """What was deployed before that; empty if it is not known."""
    composed: list[compose.Deployed] = field(default_factory=list)
    """The services that Docker Compose runs."""
    unanswered: tuple[str, ...] = ()


class _Questions:
    """Questions that are asked at the same time."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self._silent: list[str] = []
        self._asked: list[tuple[str, threading.Thread]] = []

    def ask(self, name: str, whom: str, question: Callable[[], Any]) -> None:
        """Asks in a thread, which ends with its question's deadline."""

        def run() -> None:
            try:
                self._answers[name] = question()
            except NoAnswerError as error:
                self._silent.append(str(error))
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):  # JSON of another shape
                self._silent.append(f"{whom} answered what is not understood")

        thread = threading.Thread(target=run, name=whom, daemon=True)
        self._asked.append((whom, thread))
        thread.start()

    def wait(self, until: float) -> None:
        """Returns at the deadline, whoever has not answered by then."""
        for whom, thread in self._asked:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                self._silent.append(f"{whom} did not answer in time")
        self._asked.clear()

    def answer(self, name: str, default: T) -> T:
        answer: T = self._answers.get(name, default)
        return answer

    @property
    def silent(self) -> tuple[str, ...]:
        """Who has not answered, each once."""
        return tuple(dict.fromkeys(self._silent))


def collect(asker: Asker, rules: Rules, service: str, fired: float) -> Evidence:
    """What is known about an alert of `service` that has fired at `fired` (seconds since 1970)."""
    now, begun = time.time(), time.monotonic()
    inquiry = Inquiry(asker, rules, min(fired, now) - RECENT, now, begun + _FIRST)
    questions = _Questions()
    for symptom in rules.series:
        questions.ask(symptom, "Prometheus", partial(metrics.worse, inquiry, symptom))
    if rules.traces:
        questions.ask("failing", "Jaeger", partial(traces.failing, inquiry, service))
        questions.ask("slow", "Jaeger", partial(traces.slow, inquiry, service))
    questions.wait(inquiry.until)
    evidence = Evidence(service, fired)
    evidence.worse = {symptom: questions.answer(symptom, dict[str, float]()) for symptom in rules.series}
    evidence.failing = questions.answer("failing", list[traces.Trace]())
    evidence.slow = questions.answer("slow", list[traces.Trace]())
    evidence.service = _to_blame(service, evidence)
    _about_the_blamed(questions, replace(inquiry, until=begun + PATIENCE), service, evidence)
    evidence.unanswered = questions.silent
    return evidence


def _to_blame(service: str, evidence: Evidence) -> str:
    """The service in which the requests of `service` fail, or take long, as far as that is what is wrong with it."""
    found = None
    if service in evidence.worse.get("errors", {}):
        origins = [traces.origin(trace) for trace in evidence.failing]
        found = traces.blamed(span.service for span in origins if span)
    elif service in evidence.worse.get("p95", {}):
        found = traces.blamed(traces.slowest(trace).service for trace in evidence.slow)
    return found or service


def _about_the_blamed(questions: _Questions, inquiry: Inquiry, service: str, evidence: Evidence) -> None:
    asked = _first([evidence.service, service])
    involved = _first((*asked, *(name for trace in evidence.failing + evidence.slow for name in trace.services)))
    for symptom in inquiry.rules.series:
        course = partial(metrics.course, inquiry, symptom, evidence.service)
        questions.ask(f"course {symptom}", "Prometheus", course)
    questions.ask("changes", "Prometheus", partial(metrics.changes, inquiry, involved))
    questions.ask("lines", "Loki", partial(logs.errors, inquiry, asked))
    questions.ask("deployment", "Loki", partial(logs.deployment, inquiry))
    questions.wait(inquiry.until)
    evidence.errors = questions.answer("course errors", None)
    evidence.p95 = questions.answer("course p95", None)
    evidence.lines = questions.answer("lines", logs.Lines())
    evidence.deployment = questions.answer("deployment", None)
    evidence.began = _began(evidence, inquiry.now)
    evidence.cause = metrics.cause(
        questions.answer("changes", list[metrics.Change]()), evidence.service, evidence.began
    )
    if evidence.deployment and not evidence.began - metrics.HOUR <= evidence.deployment.at <= evidence.began:
        evidence.deployment = None
    if evidence.deployment:
        questions.ask("commit", "Loki", partial(logs.commit_before, inquiry, evidence.deployment))
    if evidence.cause and evidence.cause.before:
        questions.ask("composed", "Docker", partial(compose.deployed, inquiry))
    questions.wait(inquiry.until)
    evidence.commit_before = questions.answer("commit", "")
    evidence.composed = questions.answer("composed", list[compose.Deployed]())


def _began(evidence: Evidence, now: float) -> float:
    """When the symptom that is worse began; the time of the alert if none is."""
    for symptom, course in (("errors", evidence.errors), ("p95", evidence.p95)):
        if course and course.began and evidence.service in evidence.worse.get(symptom, {}):
            return min(course.began, now)
    return evidence.began


def _first(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))[:_INVOLVED]

"""Settings of traces."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, StringConstraints, field_validator, model_validator

from config.settings import disk_budget
from config.settings.model import Model, ServiceName, TargetUrl
from config.settings.remotes import RemoteTraces
from config.settings.units import Span, seconds


def _percent(value: float) -> float:
    if not 0 <= value <= 100:  # noqa: PLR2004 - percent
        msg = f"{value:g} is not a percentage: 0 keeps nothing, 100 keeps everything"
        raise ValueError(msg)
    return value


Percent = Annotated[float, AfterValidator(_percent)]
"""A share of traces, from 0 to 100."""

Path = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9_./-]*$")]

LEAST = "1s"
"""The shortest retention. Badger deletes nothing at all if it is zero."""

LEAST_DAYS = "1d"
"""The shortest retention with Elasticsearch and OpenSearch: there is one index a day, and retention deletes whole indices."""

RETENTION_SUCCESS = "nervous_system_trace_retention_success_timestamp_seconds"
"""Metric: when the job that deletes what is too old last succeeded, in seconds of Unix time."""


class Slow(Model):
    """Traces that take long, from the start of their first span to the end of their last one."""

    over: Span = "1s"
    keep: Percent = 100

    @field_validator("over")
    @classmethod
    def _at_least_a_millisecond(cls, over: str) -> str:
        if seconds(over) < 0.001:  # noqa: PLR2004 - the collector counts in milliseconds
            msg = f"{over} is shorter than 1ms, so every trace would be slow: use rest: 100 instead"
            raise ValueError(msg)
        return over


class Rates(Model):
    """How much is kept of which traces. What is wrong or slow is also one of the rest, so no rate is below `rest`."""

    errors: Percent = 100
    """Share of the traces that have a span with an error."""
    slow: Slow = Slow()
    rest: Percent = 10

    @model_validator(mode="after")
    def _rest_is_the_least(self) -> Self:
        for key, rate in (("errors", self.errors), ("slow.keep", self.slow.keep)):
            if rate < self.rest:
                msg = f"{key} is {rate:g} and rest is {self.rest:g}: errors and slow traces cannot be kept less often than the rest"
                raise ValueError(msg)
        return self


class SlowOverride(Model):
    """Only what differs."""

    over: Span | None = None
    keep: Percent | None = None


class ServiceRates(Model):
    """Only what differs, for the traces that begin in one service."""

    errors: Percent | None = None
    slow: SlowOverride = SlowOverride()
    rest: Percent | None = None


class Sampling(Rates):
    """Decided for a whole trace once its spans have come, by its errors and its duration."""

    services: dict[ServiceName, ServiceRates] = {}
    """Rates for traces whose root span is of this service, e.g. `{checkout: {rest: 100}}`. A trace without a root span
    gets the general ones."""
    decision_wait: Span = "15s"
    """Time from a trace's first span to the decision. It has to be longer than SDKs collect spans before they send them
    (5 s by default), and than most traces take. Later spans follow the decision."""

    @model_validator(mode="after")
    def _each_service_is_right(self) -> Self:
        for service in self.services:
            try:
                self.rates_of(service)
            except ValueError as error:
                msg = f"services.{service}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"  # type: ignore[attr-defined]
                raise ValueError(msg) from None
        return self

    @field_validator("decision_wait")
    @classmethod
    def _waits(cls, wait: str) -> str:
        if not 1 <= seconds(wait) <= 300:  # noqa: PLR2004 - five minutes of every span in memory
            msg = f"{wait} is not between 1s and 5m"
            raise ValueError(msg)
        return wait

    def rates_of(self, service: str) -> Rates:
        """Rates for traces that begin in `service`."""
        own = self.services.get(service, ServiceRates())
        return Rates.model_validate(
            {
                "errors": self.errors if own.errors is None else own.errors,
                "slow": {
                    "over": own.slow.over or self.slow.over,
                    "keep": self.slow.keep if own.slow.keep is None else own.slow.keep,
                },
                "rest": self.rest if own.rest is None else own.rest,
            }
        )


class Cluster(Model):
    """An existing Elasticsearch or OpenSearch. A password is the secret `traces_password`."""

    url: TargetUrl
    """Its address as Jaeger reaches it, e.g. `https://search.example.com:9200`."""
    user: str | None = None


class SpanMetrics(Model):
    """Bounds of the metrics that are made of spans: at most `services` times `operations`, in 16 series each."""

    services: int = Field(100, ge=1)
    """Services in the span metrics. The one that has been silent for longest makes room for a new one."""
    operations: int = Field(100, ge=1)
    """Combinations of span name, kind and status per service. The rest is counted together."""


class Traces(Model):
    """The OpenTelemetry Collector, which receives and samples traces, and Jaeger, which keeps them."""

    storage: Literal["badger", "elasticsearch", "opensearch"] = "badger"
    """`badger` is embedded in Jaeger. The other two run beside it, unless `cluster` names an existing one."""
    cluster: Cluster | None = None
    retention: Span = "7d"
    sampling: Sampling = Sampling()
    health_paths: tuple[Path, ...] = ()
    """More paths of health checks, beside the usual ones such as `/health`, `/healthz`, `/ready`, `/livez`, `/ping` and
    `/metrics`. Successful GET or HEAD requests to these paths, or to gRPC's health service, only watch a service: their
    traces (`url.path`, `http.target`) are dropped and not counted, unless they are slow, and neither are their lines in
    access logs."""
    span_metrics: SpanMetrics = SpanMetrics()
    disk: ByteSize = ByteSize(disk_budget.TRACES)
    """Share of the host's disk for stored traces. An alert compares with it."""
    queue: ByteSize = ByteSize(disk_budget.QUEUE)
    """Size on disk of the queue of spans that Jaeger cannot take at the moment."""
    remote: RemoteTraces | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.cluster and self.storage == "badger":
            msg = "traces.cluster: badger is embedded in Jaeger and has no cluster: set traces.storage to elasticsearch or opensearch"
            raise ValueError(msg)
        if seconds(self.retention) < seconds(LEAST):
            msg = f"traces.retention: {self.retention} is shorter than {LEAST}, and 0s would keep them for ever"
            raise ValueError(msg)
        if self.storage != "badger" and seconds(self.retention) < seconds(LEAST_DAYS):
            msg = f"traces.retention: {self.retention} is shorter than {LEAST_DAYS}: {self.storage} has one index a day"
            raise ValueError(msg)
        if self.storage != "badger" and seconds(self.retention) % seconds("1d"):
            msg = (
                f"traces.retention: {self.retention} is not a whole number of days: {self.storage} has one index a day"
            )
            raise ValueError(msg)
        return self

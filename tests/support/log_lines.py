"""Lines as services write them, and what becomes of each: one table for both shippers, whatever feeds it to them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support.secret_lines import WITH_SECRETS, WITHOUT_SECRETS, clear_text
from tests.support.secret_lines import masked as masked_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
BOTH = {"trace_id": TRACE, "span_id": SPAN}


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    """With a moment's name in `@…@` where its spelling goes: see `spelled`."""
    level: str = "unknown"
    metadata: dict[str, str] = field(default_factory=dict)
    """With moments as in `written`."""
    result: str | None = None
    """What Loki has; None for the very text that was written."""
    dropped: bool = False
    stamped: bool = False
    """Whether Loki has it at the moment that the line tells, to the millisecond."""
    stream: str = "stdout"


def _json(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def _levels() -> Iterator[Case]:
    spellings = {
        "debug": ["debug", "TRACE", "Verbose", 10, 20, 7],
        "info": ["INFO", "Information", "notice", 30, 6],
        "warn": ["warning", "WARN", "W", 40, 4],
        "error": ["ERROR", "err", "SEVERE", 50, 3],
        "fatal": ["CRITICAL", "panic", "emerg", 60, 0],
        "unknown": ["chatty", 99, ""],
    }
    for level, words in spellings.items():
        for word in words:
            yield Case(f"level {word!r} in JSON", _json(level=word, msg=f"level {word!r}"), level)
    for name in ("severity", "lvl", "levelname", "log.level", "severity_text", "@l"):
        yield Case(f"level called {name}", json.dumps({name: "Error", "msg": f"level in {name}"}), "error")
    yield Case("level in an object", _json(log={"level": "warn"}, msg="level in log.level"), "warn")
    for line, level in {
        'lvl=warn msg="logfmt, lvl"': "warn",
        "2026-11-24 14:00:00,123 ERROR app: Python's own format": "error",
        "WARNING:django.request:Not Found": "warn",
        "INFO:     Application startup complete, says uvicorn": "info",
        "2026-11-24T14:00:00.123Z  WARN 1 --- [main] c.s.Shop : Spring Boot": "warn",
        "2026/11/24 14:00:00 [error] 29#29: *1 open() failed, says nginx": "error",
        "[Mon Nov 24 14:00:00 2026] [crit] says Apache": "fatal",
        "2026-11-24 14:00:00.123 UTC [1] LOG:  database system is ready": "info",
        "NOTICE: PHP message: PHP Fatal error:  Uncaught Exception in /app/a.php:1, passed on by PHP-FPM": "fatal",
        'WARNING: [pool www] child 7 said into stderr: "NOTICE: PHP message: PHP Parse error:  in /app/b.php"': "error",
        "NOTICE: PHP message: PHP Deprecated:  old() in /app/a.php on line 3": "warn",
        "NOTICE: fpm is running, pid 1": "info",
        "they use PHP Strict in a sentence": "unknown",
        "(node:7) [DEP0005] DeprecationWarning: Buffer() is deprecated": "warn",
        "(node:1) Warning: Possible EventEmitter memory leak": "warn",
        "(node:7) UnhandledPromiseRejectionWarning: Error: nobody handles it": "error",
        "/usr/lib/shop/api.py:12: UserWarning: careful": "warn",
        "<3>an error in the form of systemd": "error",
        "<29>Nov 24 14:00:00 dnsmasq[1]: started, says syslog": "info",
        "<b>no priority</b>": "unknown",
        "2026-11-24 14:00:00.123 UTC [1] FATAL:  no such role, says PostgreSQL": "fatal",
        "1:M 24 Nov 2026 14:00:00.000 # Redis warns": "warn",
        "1:M 24 Nov 2026 14:00:00.001 * Redis tells": "info",
        "E1124 14:00:00.123456       1 main.go:10] klog fails": "error",
        "fail: Shop.Orders[0] says .NET": "error",
        "\x1b[31mERROR\x1b[0m in red": "error",
        "12:00:00.123 [debug] Elixir": "debug",
        "2026-11-24T14:00:00Z error of lower case after a time": "error",
        "no error here, and no level": "unknown",
        "Errors are not told of at the beginning of a sentence": "unknown",
        "[Sat Nov 28 14:00:00.123456 2026] [core:error] [pid 7:tid 140] says Apache 2.4": "error",
        "PHP Fatal error:  Uncaught TypeError: no price in /app/shop.php:3": "fatal",
        "[28-Nov-2026 14:00:00 UTC] PHP Warning:  Undefined variable $price in /app/shop.php on line 3": "warn",
        "PHP Deprecated:  Creation of dynamic property": "warn",
        "ERRO[0012] cannot reach db                    host=db": "error",
        "2026-11-28T14:00:00.123Z\tWARN\tshop/main.go:1\tzap on a console": "warn",
        "[E 261128 14:00:00 web:2239] 500 GET /x (10.0.0.1) 3.1ms": "error",
        "E20261128 14:00:00.123456     7 main.cc:10] glog since 0.6": "error",
        'msg="say \\"hi\\" twice" level=error': "error",
        "10.0.0.9:51234 [28/Nov/2026:14:00:00.123] http-in shop/s1 0/0/1/23/24 503 217 - - ---- 1/1/0/0/0 0/0 "
        '"GET /orders HTTP/1.1"': "error",
        "10.0.0.9:51234 [28/Nov/2026:14:00:00.124] http-in shop/s1 0/0/1/23/24 200 217 - - ---- 1/1/0/0/0 0/0 "
        '"GET /orders HTTP/1.1"': "info",
        '2026/11/28 14:00:00 "GET http://localhost:8080/x HTTP/1.1" from 10.0.0.9:5123 - 500 21B in 1ms': "error",
        "GET /orders 503 1.234 ms - 17": "error",
        "TRACE / 405 0.234 ms - 17": "info",
        "GET /search?q=FATAL 200 12 ms - 17": "info",
        "14:00:00 | 502 |  1ms | 10.0.0.1 | GET | /orders | -": "error",
        "Completed 500 Internal Server Error in 12ms (Views: 1.2ms)": "error",
        '[2026-11-28T14:00:00.123Z] "GET /orders HTTP/1.1" 503 UH 0 19 0 - "-" "says Envoy"': "error",
        "[2026-11-28 14:00:00.123][1][critical][main] [source/server/server.cc:1] says Envoy": "fatal",
        '10.0.0.1 - - [28/Nov/2026:14:00:00 +0000] "TRACE / HTTP/1.1" 405 12': "info",
        '10.0.0.1 - - [28/Nov/2026:14:00:00 +0000] "GET /search?q=[FATAL] HTTP/1.1" 200 12': "info",
        "trce: Shop.Orders[0] says .NET": "debug",
        "dbug: Shop.Orders[0] says .NET": "debug",
        "2026-11-28 14:00:00.123 | SUCCESS  | shop:order:1 - loguru": "info",
        "2026-11-28 14:00:00.124 | ERROR    | shop:order:1 - loguru": "error",
        "2026-11-28T14:00:00.123Z [WARN]  agent: says hclog": "warn",
        "[2026-11-28T14:00:00.123456+00:00] app.ERROR: says Monolog [] []": "error",
        "{'level': 'ERROR', 'msg': 'a dict of Python'}": "error",
        '{"level":"error","msg":"ratio","value":NaN}': "error",
        '\ufeff{"level":"error","msg":"after a mark of the byte order"}': "error",
        '{"level":"warn","msg":"cut at its end': "warn",
        '{"level":"\\u001b[31merror\\u001b[39m","msg":"winston in colours"}': "error",
        '{"level":400,"level_name":"ERROR","channel":"app","message":"Monolog"}': "error",
        '{"level":300,"message":"Monolog, by its number"}': "warn",
        '{"level":"chatty","severity":"ERROR","msg":"the first says nothing"}': "error",
        '{"@level":"error","@message":"hclog","@module":"agent"}': "error",
        '{"time":"x","level":"ERROR+2","msg":"slog between two levels"}': "error",
        '{"t":{"$date":"x"},"s":"D1","c":"NETWORK","msg":"MongoDB"}': "debug",
        '{"EventId":1,"LogLevel":"Error","Category":"Shop","Message":".NET in JSON"}': "error",
        '{"response_code":503,"path":"/orders","msg":"Envoy in JSON"}': "error",
        '{"msg":"to say \\"level\\": \\"error\\" is not to have it"}': "unknown",
    }.items():
        yield Case(f"level of {line!r}", line, level, result=re.sub("\x1b\\[\\d+m", "", line))


def _traces() -> Iterator[Case]:
    for trace, span in (
        ("trace_id", "span_id"), ("traceId", "spanId"), ("traceID", "spanID"), ("TraceId", "SpanId"),
        ("traceid", "spanid"), ("trace.id", "span.id"), ("otelTraceID", "otelSpanID"), ("trace-id", "span-id"),
        ("TRACE_ID", "SPAN_ID"),
    ):  # fmt: skip
        fields = {"msg": f"ids called {trace} and {span}", trace: TRACE, span: SPAN}
        yield Case(f"{trace} in JSON", json.dumps(fields), metadata=BOTH)
    parent = f"00-{TRACE}-{SPAN}-01"
    for line in (
        _json(msg="traceparent", traceparent=parent),
        _json(msg="traceparent below headers", request={"headers": {"Traceparent": parent}}),
        f"plain text with traceparent: {parent}",
        f"msg=logfmt trace_id={TRACE} span_id={SPAN}",
        f"msg=logfmt traceID={TRACE} spanID={SPAN}",
        f"plain text [trace_id={TRACE} span_id={SPAN}]",
        _json(msg="objects", trace={"id": TRACE}, span={"id": SPAN}),
        _json(msg="capitals", trace_id=TRACE.upper(), span_id=SPAN.upper()),
        _json(msg="JSON in JSON", inner=_json(trace_id=TRACE, span_id=SPAN)),
    ):
        yield Case(f"ids in {line}", line, metadata=BOTH)
    for line in (
        f"12:00:00 --- [shop] [nio-8080-exec-1] [{TRACE}-{SPAN}] c.e.shop.Orders : Spring Boot 3.2",
        f"12:00:00 [shop,{TRACE},{SPAN}] 1 --- [main] Spring Cloud Sleuth",
        f"order paid parent_span_id={'a' * 16} span_id={SPAN} trace_id={TRACE}",
        f"order paid parentSpanId={'a' * 16} spanId={SPAN} traceId={TRACE}",
        f"parent.span.id: {'a' * 16}, span.id: {SPAN}, trace.id: {TRACE}",
        _json(msg="parent", parentSpanId="a" * 16, spanId=SPAN, traceId=TRACE),
        json.dumps({
            "message": "Google", "logging.googleapis.com/trace": f"projects/shop/traces/{TRACE}",
            "logging.googleapis.com/spanId": SPAN,
        }),
        _json(msg="the first says nothing", trace_id="0" * 32, traceId=TRACE, spanId=SPAN),
    ):  # fmt: skip
        yield Case(f"ids in {line}", line, metadata=BOTH)
    yield Case("a parent's span alone", f"paid parent_span_id={SPAN}")
    uuid = f"{TRACE[:8]}-{TRACE[8:12]}-{TRACE[12:16]}-{TRACE[16:20]}-{TRACE[20:]}"
    yield Case("a UUID as trace id", _json(msg="uuid", trace_id=uuid), metadata={"trace_id": TRACE})
    yield Case(
        "the own id wins over one in the message",
        _json(msg=f"forwarded trace_id={'a' * 32}", trace_id=TRACE),
        metadata={"trace_id": TRACE},
    )
    for value in ("0" * 32, "", "not-an-id", "1234", None, 17):
        yield Case(f"{value!r} is no trace id", _json(msg=f"{value!r} is no trace id", trace_id=value))


def _times() -> Iterator[Case]:
    for name in ("RFC3339", "NANOS", "OFFSET", "SPACE", "COMPACT", "MS", "US", "NS", "FLOAT"):
        value = f"@{name}@" if name in {"MS", "US", "NS", "FLOAT"} else f'"@{name}@"'
        yield Case(f"time as {name}", f'{{"time":{value},"msg":"time as {name}"}}', stamped=True)
    for name in ("ts", "timestamp", "@timestamp", "datetime"):
        yield Case(f"time called {name}", f'{{"{name}":"@RFC3339@","msg":"time in {name}"}}', stamped=True)
    yield Case("time in logfmt", 'ts=@RFC3339@ level=info msg="time in logfmt"', "info", stamped=True)
    for value in ('"yesterday"', "12", "null", "[]"):
        yield Case(f"bad time {value}", f'{{"time":{value},"msg":"bad time {value[1:5]}"}}')
    for value in (
        *('"2099-01-01T00:00:00.5Z"', '"1999-01-01T00:00:00.5Z"', "4102444800.5", "1000000000123"),
        *(f'"@{name}@"' for name in ("HOUR", "HOURS", "DAYS", "AHEAD")),
        *('"1999-01-01T00:00:00Z"', '"Fri, 01 Jan 1999 00:00:00 GMT"'),
    ):
        own_time = value.strip('"')
        line = f'{{"time":{value},"msg":"not taken: {own_time}"}}'
        yield Case(f"time out of Loki's hour, {value}", line, metadata={"own_time": own_time})
    old = "2026-01-01T00:00:00Z"
    yield Case("old time in logfmt", f'time={old} level=ERROR msg="logfmt of slog"', "error", {"own_time": old})


def _health_checks() -> Iterator[Case]:
    line = '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "GET {} HTTP/1.1" {} 12 "-" "kube-probe/1.30"'
    for path in (
        "/health",
        "/healthz",
        "/health/live",
        "/api/health",
        "/readyz",
        "/livez?verbose",
        "/-/healthy",
        "/ping",
        "/up",
    ):
        yield Case(f"{path} well, nginx", line.format(path, 200), dropped=True)
        yield Case(f"{path} ill, nginx", line.format(path, 503), "error")
    for fields in (
        {"path": "/health", "status": 200},
        {"url": "/health", "status_code": "204"},
        {"req": {"url": "/healthz"}, "res": {"statusCode": 200}},
        {"request": "GET /health HTTP/1.1", "status": 200},
        {"http.target": "/health", "http.status_code": 200},
    ):
        yield Case(f"well: {fields}", json.dumps({"level": "info", **fields}), dropped=True)
    yield Case("well, logfmt", "level=info method=GET path=/health status=200 duration=1ms", dropped=True)
    yield Case("well, uvicorn", 'INFO:     10.0.0.1:55 - "GET /health HTTP/1.1" 200 OK', dropped=True)
    yield Case("well, gin", '[GIN] 2026/11/24 - 14:00:00 | 200 |  1ms | 10.0.0.1 | GET      "/health"', dropped=True)
    for line, level in {
        _json(level="info", path="/health", status=500): "info",
        _json(level="error", path="/health", status=200, msg="slow"): "error",
        _json(level="info", path="/health/records/17", status=200): "info",
        _json(level="info", path="/wealth", status=200): "info",
        _json(level="info", msg="GET /health is what the health check asks for"): "info",
        "level=info path=/health status=503": "info",
        'INFO:     10.0.0.1:55 - "GET /health HTTP/1.1" 503 Service Unavailable': "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "GET /healthy-food HTTP/1.1" 200 12': "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "GET /live/scores HTTP/1.1" 200 12': "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "GET /category/health HTTP/1.1" 200 4711': "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "POST /patients/health HTTP/1.1" 201 12': "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "POST /health HTTP/1.1" 201 12': "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "DELETE /ping HTTP/1.1" 204 0': "info",
        _json(level="info", method="POST", path="/health", status=200): "info",
        "level=info method=DELETE path=/ping status=204": "info",
        '10.0.0.1 - - [24/Nov/2026:14:00:00 +0000] "GET /health HTTP/1.1" 200 2\n  -> order 17 paid': "info",
        '[GIN] 2026/11/24 - 14:00:00 | 200 |  1ms | 10.0.0.1 | GET      "/health"\nexit status 2': "info",
        '[GIN] 2026/11/24 - 14:00:00 | 200 |  1ms | 10.0.0.1 | POST     "/health"': "info",
    }.items():
        yield Case(f"kept: {line}", line, level)


def _scrapes() -> Iterator[Case]:
    """Requests of Prometheus, in the default formats of servers and frameworks."""
    prometheus, time = "Prometheus/3.15.0", "24/Nov/2026:14:00:00 +0000"
    with_agent = {
        "nginx, gunicorn": f'172.20.0.2 - - [{time}] "GET {{}} HTTP/1.1" {{}} 512 "-" "{{}}"',
        "nginx, its image": f'172.20.0.2 - - [{time}] "GET {{}} HTTP/1.1" {{}} 512 "-" "{{}}" "-"',
        "Apache, vhost": f'shop:80 172.20.0.2 - - [{time}] "GET {{}} HTTP/1.1" {{}} 512 "-" "{{}}"',
        "morgan, combined": f'::ffff:172.20.0.2 - - [{time}] "GET {{}} HTTP/1.1" {{}} 512 "-" "{{}}"',
        "Traefik": f'172.20.0.2 - - [{time}] "GET {{}} HTTP/1.1" {{}} 512 "-" "{{}}" 5 "shop@docker" "http://172.20.0.3:80" 1ms',
        "Envoy": '[2026-11-24T14:00:00.123Z] "GET {} HTTP/1.1" {} - 0 512 1 1 "172.20.0.2" "{}" "7f3a-1" "shop" "172.20.0.3:80"',
        "only the agent": '"GET {} HTTP/1.1" {} "{}"',
        "nginx, JSON": '{{"request":"GET {} HTTP/1.1","status":"{}","request_time":"0.001","http_user_agent":"{}"}}',
        "Echo": '{{"time":"x","remote_ip":"172.20.0.2","method":"GET","uri":"{}","user_agent":"{}","status":{},"latency":5}}',
        "Caddy": '{{"level":"info","logger":"http.log.access","msg":"handled request","request":{{"method":"GET","uri":"{}",'
        '"headers":{{"User-Agent":["{}"]}}}},"duration":0.001,"status":{}}}',
        "Traefik, JSON": '{{"DownstreamStatus":{1},"Duration":5,"RequestMethod":"GET","RequestPath":"{0}","request_User-Agent":"{2}"}}',
        "logfmt": 'level=info method=GET path={} status={} user_agent="{}"',
    }  # fmt: skip
    without_agent = {
        "Apache, common": f'172.20.0.2 - - [{time}] "GET {{}} HTTP/1.1" {{}} 512',
        "uvicorn": 'INFO:     172.20.0.2:55 - "GET {} HTTP/1.1" {} OK',
        "werkzeug": '172.20.0.2 - - [24/Nov/2026 14:00:00] "GET {} HTTP/1.1" {} -',
        "morgan, dev": "GET {} {} 1.234 ms - 512",
        "Fiber": "14:00:00 | {1} |  1ms | 172.20.0.2 | GET | {0} | -",
        "gin": '[GIN] 2026/11/24 - 14:00:00 | {1} |  1ms | 172.20.0.2 | GET      "{0}"',
        "JSON": '{{"level":"info","method":"GET","path":"{}","status":{}}}',
    }
    swapped = ("Echo", "Caddy")  # the status is last

    def of(name: str, path: str, status: int, agent: str) -> str:
        return with_agent[name].format(*((path, agent, status) if name in swapped else (path, status, agent)))

    for name in with_agent:
        yield Case(f"scrape, {name}", of(name, "/metrics", 200, prometheus), dropped=True)
        yield Case(f"/metrics by curl, {name}", of(name, "/metrics", 200, "curl/8.14.1"), "info")
        yield Case(f"/metrics-report, {name}", of(name, "/metrics-report", 200, prometheus), "info")
        level = "error" if name not in ("Caddy", "logfmt") else "info"  # these two state theirs
        yield Case(f"failed scrape, {name}", of(name, "/metrics", 500, prometheus), level)
    for name, line in without_agent.items():
        yield Case(f"scrape, {name}", line.format("/metrics", 200), dropped=True)
        yield Case(f"/metrics-report, {name}", line.format("/metrics-report", 200), "info")
        level = "error" if name not in ("uvicorn", "JSON") else "info"
        yield Case(f"failed scrape, {name}", line.format("/metrics", 503), level)
    for path in ("/actuator/prometheus", "/q/metrics", "/metrics/", "/metrics?name[]=up"):
        yield Case(f"scrape of {path}", of("nginx, gunicorn", path, 200, prometheus), dropped=True)
    yield Case("scrape without a change", of("nginx, gunicorn", "/metrics", 304, prometheus), dropped=True)
    exporter = of("nginx, gunicorn", "/stub_status", 200, "NGINX-Prometheus-Exporter/v1.5.1")
    yield Case("scrape by the exporter of Nginx", exporter, dropped=True)
    yield Case("scrape, Traefik without headers", of("Traefik", "/metrics", 200, "-"), dropped=True)
    yield Case(
        "scrape, Envoy's JSON", '{"method":"GET","path":"/metrics","response_code":200,"user_agent":null}', dropped=True
    )
    for line in (
        of("nginx, gunicorn", "/orders", 200, prometheus),
        of("nginx, gunicorn", "/business/metrics", 200, prometheus),
        of("nginx, gunicorn", "/metrics", 302, prometheus),
        of("nginx, gunicorn", "/metrics", 200, prometheus).replace("GET", "POST"),
        without_agent["uvicorn"].format("/metrics", 200).replace("GET", "POST"),
        'INFO:     172.20.0.2:55 - "GET /orders?from=/metrics HTTP/1.1" 200 OK',
        _json(level="info", msg="GET /metrics is what Prometheus asks for"),
    ):
        yield Case(f"no scrape: {line}", line, "info")


CARD, NO_CARD = "4111 1111 1111 1111", "4111 1111 1111 1112"


def _masks() -> Iterator[Case]:
    for line, result in {
        "mail of jane.doe+shop@mail.example.com, thanks": "mail of <email>, thanks",
        f"paid with {CARD}.": "paid with <card>.",
        "cards 5500005555555559 and 340000000000009": "cards <card> and <card>",
        f"{CARD.replace(' ', '-')} at the beginning": "<card> at the beginning",
        f"no card: {NO_CARD}, 1795529000123456789, 0.4111111111111111": f"no card: {NO_CARD}, 1795529000123456789, 0.4111111111111111",
        "Authorization: Bearer abcDEF123.456-x": "Authorization: <secret>",
        "request with Authorization: Basic dXNlcjpwYXNz": "request with Authorization: <secret>",
        "sent eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl": "sent <secret>",
        "connects to postgres://shop:hunter2@db:5432/shop": "connects to postgres://shop:<secret>@db:5432/shop",
        "GET /login?user=jane&token=abc123&next=/ now": "GET /login?user=jane&token=<secret>&next=/ now",
        'msg=login user=jane password="hun ter2" ok=true': 'msg=login user=jane password="<secret>" ok=true',
        "db_password=hunter2, api-key=k1": "db_password=<secret>, api-key=<secret>",
        "password: hunter2": "password: <secret>",
        "max_tokens=100 monkey=banana": "max_tokens=100 monkey=banana",
        'a key="value" of no interest': 'a key="value" of no interest',
    }.items():
        yield Case(f"masked: {line}", line, result=result)
    for marked in (*WITH_SECRETS, *WITHOUT_SECRETS):
        text, masked_text = clear_text(marked), masked_of(marked)
        level = "info" if '"level":"info"' in text else "unknown"
        # Each begins like no other line: what is indented would be joined to the one before.
        yield Case(
            f"masked: {masked_text}",
            f"({text}" if text[0] == " " else text,
            level,
            result=f"({masked_text}" if text[0] == " " else masked_text,
        )
    fields = {"msg": "login", "user": "jane", "password": 'hun"ter2', "accessToken": "abc", "mail": "jane@example.com"}
    masked = fields | {"password": "<secret>", "accessToken": "<secret>", "mail": "<email>"}
    yield Case("fields of JSON", json.dumps(fields), result=json.dumps(masked))
    inner = json.dumps({"body": json.dumps({"client_secret": "abc", "id": 1})})
    yield Case("JSON in JSON", inner, result=inner.replace("abc", "<secret>"))


PYTHON = """\
2026-11-24 14:00:00,123 ERROR shop: order failed
Traceback (most recent call last):
  File "/app/shop.py", line 3, in order
    1/0
ZeroDivisionError: division by zero"""
CHAINED = """\
ERROR:root:order failed
Traceback (most recent call last):
  File "/app/shop.py", line 3, in order
    prices["x"]
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/shop.py", line 5, in order
    raise OrderError("no price")
shop.OrderError: no price"""
JAVA = """\
2026-11-24 14:00:00.123 ERROR 1 --- [main] c.e.Shop : order failed
java.lang.IllegalStateException: no price
\tat com.example.Shop.order(Shop.java:17)
\tat com.example.Shop.main(Shop.java:5)
Caused by: java.io.IOException: broken pipe
\tat com.example.Prices.read(Prices.java:9)
\t... 2 more"""
NODE = """\
TypeError: Cannot read properties of undefined (reading 'price')
    at order (/app/shop.js:3:9)
    at Object.<anonymous> (/app/shop.js:9:1)"""
DJANGO = """\
2026-11-28 14:00:00,123 ERROR django.request: Internal Server Error: /orders/17
Traceback (most recent call last):
  File "/app/shop.py", line 3, in order
    order = Order.objects.get(id=17)
shop.models.Order.DoesNotExist: Order matching query does not exist."""
PSYCOPG = """\
2026-11-28 14:00:01,123 ERROR app: insert failed
Traceback (most recent call last):
  File "/app/shop.py", line 4, in insert
    cursor.execute(sql)
psycopg.errors.UniqueViolation: duplicate key value violates unique constraint "orders_pkey"
DETAIL:  Key (id)=(17) already exists."""
PYDANTIC = """\
ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "/app/shop.py", line 5, in parse
    Order(**body)
pydantic_core._pydantic_core.ValidationError: 2 validation errors for Order
price
  Field required [type=missing, input_value={}, input_type=dict]
items.0.name
  Field required [type=missing, input_value={}, input_type=dict]"""
GROUP = """\
ERROR:root:orders failed
  + Exception Group Traceback (most recent call last):
  |   File "/app/shop.py", line 3, in <module>
  |     raise ExceptionGroup("orders", errors)
  | ExceptionGroup: orders (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------"""
GRPC = """\
ERROR:root:no answer
Traceback (most recent call last):
  File "/app/shop.py", line 3, in order
    stub.Pay(order)
grpc._channel._InactiveRpcError: <_InactiveRpcError of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "failed to connect to all addresses"
>"""
HTTP_PANIC = """\
2026/11/28 14:00:00 http: panic serving 10.0.0.9:51234: runtime error: index out of range [5] with length 3
goroutine 17 [running]:
main.order({0x7f, 0x1}, 0xc00011c000)
\t/app/main.go:8 +0x1d
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3454 +0x485"""
NODE_CODE = """\
Error [ERR_HTTP_HEADERS_SENT]: Cannot set headers after they are sent to the client
    at ServerResponse.setHeader (node:_http_outgoing:659:11)"""
DOTNET = """\
Unhandled exception. System.InvalidOperationException: no price
   at Shop.Orders.Order() in /app/Orders.cs:line 17"""
RUST = """\
thread 'main' panicked at src/main.rs:4:5:
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
RUBY = """\
app.rb:3:in 'order': no price (RuntimeError)
\tfrom app.rb:9:in '<main>'"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Shop).order(0xc000012345, {0x0, 0x1}, ...)
\t/app/shop.go:8 +0x1d
main.main()
\t/app/main.go:12 +0x2f
exit status 2"""


PHP = """\
PHP Fatal error:  Uncaught Shop\\Error: out of stock in /app/order.php:3
Stack trace:
#0 /app/index.php(4): Shop\\Order->place()
#1 [internal function]: run()
#2 {main}

Next Exception: order failed in /app/index.php:9
Stack trace:
#0 {main}
  thrown in /app/index.php on line 9"""
LARAVEL = """\
[2026-11-24 14:00:05] production.ERROR: out of stock {"exception":"[object] (Exception(code: 0): at /app/order.php:3)
[stacktrace]
#0 /app/index.php(4): place()
#1 {main}
"}"""
RUBY_LOGGER = """\
E, [2026-11-24T14:00:04.123456 #1] ERROR -- : out of stock (RuntimeError)
/app/order.rb:3:in 'Order#place'
app/index.rb:6:in '<main>'"""
ELIXIR = """\
14:00:00.000 [error] GenServer Shop.Orders terminating
** (RuntimeError) out of stock
    (shop 0.1.0) lib/orders.ex:3: Shop.Orders.handle_call/3
Last message (from #PID<0.1.0>): :place
State: %{}"""


def _blocks() -> Iterator[Case]:
    for name, text, level in (
        ("Python", PYTHON, "error"), ("Python, chained", CHAINED, "error"), ("Java", JAVA, "error"),
        ("Node", NODE, "error"), ("Go", GO, "fatal"), ("Django", DJANGO, "error"), ("psycopg", PSYCOPG, "error"),
        ("pydantic", PYDANTIC, "error"), ("a group of errors", GROUP, "error"), ("gRPC", GRPC, "error"), ("a Go server", HTTP_PANIC, "error"),
        ("Node with a code", NODE_CODE, "error"), (".NET", DOTNET, "error"), ("Rust", RUST, "fatal"), ("Ruby", RUBY, "error"),
        ("PHP", PHP, "fatal"), ("Laravel", LARAVEL, "error"), ("Ruby's logger", RUBY_LOGGER, "error"), ("Elixir", ELIXIR, "error"),
    ):  # fmt: skip
        # Alloy leaves out empty lines of a container, so the table does so for both.
        yield Case(f"a trace of {name}", text, level, result=re.sub("\n+", "\n", text), stream="stderr")
        yield Case(f"a line right after {name}", f"ordinary line after {name}", stream="stderr")
    uncaught = "\n".join(["INFO the line before", *PYTHON.splitlines()[1:]])
    yield Case(
        "an uncaught error belongs to the line before, and is no less for it", uncaught, "error", stream="stderr"
    )
    yield Case("an indented structure", 'config {\n  "a": 1\n}')
    for line, level in {
        " INFO shop: right-aligned 1": "info",
        "ERROR shop: right-aligned 2": "error",
        " INFO shop: right-aligned 3": "info",
        "     WARN shop: right-aligned 4": "warn",
        " 2026-11-28 14:00:00 INFO shop: after a blank": "info",
        "ERROR shop: before a time": "error",
        " 14:00:00 INFO shop: a time after a blank": "info",
        "   [INFO] shop: in brackets": "info",
        "WARNING: a development server": "warn",
        "rake aborted!": "error",
        "#12 of the queue is done": "unknown",
        "State: ready": "unknown",
        " * Running on http://127.0.0.1:5000": "unknown",
    }.items():
        yield Case(f"not swallowed: {line}", line, level, stream="stderr")
    for number in range(3):
        yield Case(f"ordinary line {number}", f"ordinary line {number}")


def _other() -> Iterator[Case]:
    yield Case("UTF-8", _json(level="info", msg="Grüße aus Zürich, 東京 и Москва 🚀"), "info")
    yield Case("UTF-8, plain", "naïve café — “quoted” 🚀")
    yield Case("300 KB in one line", f"long {'0123456789abcdef' * 19_200} end")
    yield Case("300 KB of JSON", _json(level="warn", msg="x" * 300_000, trace_id=TRACE), "warn", {"trace_id": TRACE})
    yield Case("broken JSON", '{"level":"error","msg":"never ends', "error")
    yield Case("labels are not made of fields", _json(level="info", service="other", source="me", user_id=17), "info")
    yield Case("a line on stderr", "a line on stderr", stream="stderr")


CASES = [*_other(), *_levels(), *_traces(), *_times(), *_health_checks(), *_scrapes(), *_masks(), *_blocks()]


OFF = {
    "AHEAD": timedelta(minutes=5),
    "HOUR": timedelta(minutes=-55),
    "HOURS": timedelta(hours=-4),
    "DAYS": timedelta(days=-2),
}


def spelled(text: str, moment: datetime) -> str:
    """`text` with `moment` in the spellings it asks for."""
    seconds = moment.timestamp()
    micros = int(moment.timestamp()) * 1_000_000 + moment.microsecond
    spellings = {
        "RFC3339": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "NANOS": moment.strftime("%Y-%m-%dT%H:%M:%S.%f789Z"),
        "OFFSET": moment.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        "SPACE": moment.strftime("%Y-%m-%d %H:%M:%S.%f+00:00"),
        "COMPACT": moment.strftime("%Y-%m-%dT%H:%M:%S,%f+0000"),
        "MS": str(micros // 1000),
        "US": str(micros),
        "NS": f"{micros}789",
        "FLOAT": f"{seconds:.6f}",
        **{name: (moment + off).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for name, off in OFF.items()},
    }
    return re.sub("@([A-Z0-9]+)@", lambda match: spellings[match[1]], text)


def metadata(case: Case, moment: datetime) -> dict[str, str]:
    return {name: spelled(value, moment) for name, value in case.metadata.items()}


def moment() -> datetime:
    """One that tells itself from the time of reading: a minute ago, at a crooked millisecond."""
    return datetime.fromtimestamp(int(datetime.now(UTC).timestamp()) - 60, UTC).replace(microsecond=123_456)

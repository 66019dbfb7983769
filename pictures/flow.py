"""How data flows through a stack."""

from config.settings import Settings
from config.settings.units import seconds
from dashboards import colours
from pictures.svg import PALE, Drawing

BOX, DAY = (150, 44), 86_400
SERVICES = {
    "prometheus": (330, 30, "Prometheus", "metrics, {metrics:.0f} days"),
    "alloy": (330, 110, "Alloy", "reads every line"),
    "loki": (530, 110, "Loki", "logs, {logs:.0f} days"),
    "otel_collector": (330, 190, "OpenTelemetry", "samples, counts calls"),
    "jaeger": (530, 190, "Jaeger", "traces, {traces:.0f} days"),
    "alertmanager": (730, 30, "Alertmanager", "groups, mutes"),
    "grafana": (730, 150, "Grafana", "dashboards, links"),
}
"""Name of a service → its place and text."""


def flow(settings: Settings) -> str:
    """SVG of the sources of data, the services, and the people they tell."""
    retained = {
        "metrics": settings.metrics.retention.time,
        "logs": settings.logs.retention.time,
        "traces": settings.traces.retention,
    }
    days = {signal: seconds(span) / DAY for signal, span in retained.items()}
    drawing = Drawing(1080, 270, "Data flows from your services through collectors and stores to Grafana and to alerts")
    drawing.box(20, 30, 190, 204, fill="#f3f6fa")
    for line, words in enumerate(("your services", "databases, proxies", "the host, its containers")):
        drawing.text(115, 62 + line * 20, words, anchor="middle", bold=line == 0)
    for x, y, name, words in SERVICES.values():
        drawing.box(x, y, *BOX, fill="#ffffff", line=colours.BLUE)
        drawing.text(x + BOX[0] / 2, y + 19, name, anchor="middle", bold=True)
        drawing.text(x + BOX[0] / 2, y + 35, words.format(**days), size=11, colour=PALE, anchor="middle")
    for y, words in ((52, "scrapes"), (132, "lines"), (212, "OTLP")):
        drawing.arrow(*((330, y), (212, y)) if words == "scrapes" else ((212, y), (328, y)))
        drawing.text(270, y - 6, words, size=11, anchor="middle", colour=PALE)
    drawing.arrow((480, 132), (528, 132))
    drawing.arrow((480, 212), (528, 212))
    drawing.arrow((480, 202), (515, 202), (515, 142), (528, 142))
    drawing.text(510, 178, "logs", size=11, anchor="end", colour=PALE)
    drawing.arrow((330, 202), (306, 202), (306, 64), (328, 64))
    drawing.text(302, 178, "metrics", size=11, anchor="end", colour=PALE)
    drawing.arrow((480, 52), (728, 52))
    drawing.text(604, 46, "alerts", size=11, anchor="middle", colour=PALE)
    drawing.arrow((605, 110), (605, 64), (728, 64))
    for y in (132, 212):
        drawing.line([(680, y), (705, y), (705, 172)])
    drawing.line([(505, 52), (505, 88), (705, 88), (705, 172)])
    drawing.arrow((705, 172), (728, 172))
    drawing.arrow((880, 52), (938, 52))
    for line, words in enumerate(("Slack", "PagerDuty", "a dead man's switch")):
        drawing.text(944, 42 + line * 18, words)
    drawing.arrow((938, 172), (882, 172))
    drawing.text(944, 176, "you")
    return drawing.render()

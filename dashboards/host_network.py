"""Panels of the host's network: interfaces, TCP, and the kernel's table of connections."""

from config.services.correlation.dashboard_thresholds import AlertThreshold
from dashboards import colours, panel_links, panels, units
from dashboards.panels import AnyPanel
from dashboards.queries import FEW, PromQL, top

LINKS = panel_links.host_links()
NODE = 'job="node_exporter"'
INTERFACES = f'{NODE},device!="lo"'
RATE = "$__rate_interval"


def traffic() -> AnyPanel:
    def bytes_of(way: str) -> str:
        return f"sum(rate(node_network_{way}_bytes_total{{{INTERFACES}}}[{RATE}]))"

    return panels.timeseries(
        "Network of the host",
        "Bytes per second through the host's own interfaces.",
        units.BYTES_PER_SECOND,
        PromQL(bytes_of("receive"), "received"),
        PromQL(bytes_of("transmit"), "sent"),
        size=(8, 7),
        links=LINKS,
        colours={"received": colours.BLUE, "sent": colours.ORANGE},
    )


def losses() -> AnyPanel:
    def lost(way: str, kind: str) -> str:
        return f"sum(rate(node_network_{way}_{kind}_total{{{INTERFACES}}}[{RATE}]))"

    return panels.timeseries(
        "Lost packets",
        "Packets per second that the host's interfaces damaged or dropped. Ten a second that are dropped on arrival are usual.",
        units.counted("packets/s"),
        PromQL(f"{lost('receive', 'errs')} + {lost('transmit', 'errs')}", "damaged"),
        PromQL(lost("receive", "drop"), "dropped on arrival"),
        PromQL(lost("transmit", "drop"), "dropped on the way out"),
        PromQL(f"sum(rate(node_softnet_dropped_total{{{NODE}}}[{RATE}]))", "dropped by the kernel's backlog"),
        size=(8, 7),
        links=LINKS,
        colours={
            "damaged": colours.RED,
            "dropped on arrival": colours.BLUE,
            "dropped on the way out": colours.ORANGE,
            "dropped by the kernel's backlog": colours.PURPLE,
        },
    )


def interfaces() -> AnyPanel:
    rx, tx = (f"rate(node_network_{way}_bytes_total{{{INTERFACES}}}[{RATE}])" for way in ("receive", "transmit"))
    return panels.timeseries(
        "Traffic by interface",
        "Bytes per second received and sent by each of the host's interfaces.",
        units.BYTES_PER_SECOND,
        *top(f"sum by (device) ({rx}) + sum by (device) ({tx})", "device", count=FEW),
        size=(8, 7),
        links=LINKS,
    )


def connections() -> AnyPanel:
    return panels.timeseries(
        "Table of connections",
        "Connections that the firewall tracks (conntrack), those of containers too, as a share of the table.",
        units.SHARE,
        PromQL(f"max(node_nf_conntrack_entries{{{NODE}}} / node_nf_conntrack_entries_limit{{{NODE}}})", "share in use"),
        size=(8, 7),
        links=LINKS,
        maximum=1,
        threshold=AlertThreshold(("conntrack",)),
    )


def tcp() -> AnyPanel:
    resends, segments = (f"rate(node_netstat_Tcp_{kind}{{{NODE}}}[{RATE}])" for kind in ("RetransSegs", "OutSegs"))
    return panels.timeseries(
        "TCP sends again",
        "Segments that the host sent again, as a share of all. Connections of containers do not count.",
        units.SHARE,
        PromQL(f"max({resends} / ({segments} > 0))", "sent again"),
        size=(8, 7),
        links=LINKS,
        threshold=AlertThreshold(("tcp_retransmits",)),
    )


def sockets() -> AnyPanel:
    return panels.timeseries(
        "TCP sockets of the host",
        "Sockets in use, and closed ones that the kernel still remembers (TIME_WAIT). Those of containers do not count.",
        units.counted("sockets"),
        PromQL(f"sum(node_sockstat_TCP_inuse{{{NODE}}})", "in use"),
        PromQL(f"sum(node_sockstat_TCP_tw{{{NODE}}})", "time wait"),
        PromQL(f"sum(node_sockstat_TCP_orphan{{{NODE}}})", "without a process"),
        size=(8, 7),
        links=LINKS,
        colours={"in use": colours.BLUE, "time wait": colours.GREY, "without a process": colours.ORANGE},
    )


def listen_queues() -> AnyPanel:
    return panels.timeseries(
        "Connections nobody accepts",
        "New connections per second that the host dropped, because a program's queue was full. Containers do not count.",
        units.CONNECTIONS,
        PromQL(f"sum(rate(node_netstat_TcpExt_ListenDrops{{{NODE}}}[{RATE}]))", "dropped"),
        size=(8, 7),
        links=LINKS,
        colours={"dropped": colours.RED},
        threshold=AlertThreshold(("listen_drops",)),
    )

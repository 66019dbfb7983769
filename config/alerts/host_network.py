"""The host's network, as node_exporter 1.12 reports it: interfaces, TCP, and the table of tracked connections.

TCP's counters are those of the host's own network: its SSH, and what runs outside of containers or with `network_mode: host`.
Each container has separate counters, which no exporter reads. Interfaces and tracked connections include the containers' traffic.
"""

from dataclasses import replace

from config.alerts.rule import Alert, Rule, ratio
from config.settings.thresholds import Thresholds

_LAYER_2 = 10
"""Packets per second dropped on arrival that are no loss. Since Linux 2.6.37 `rx_dropped` also counts frames of protocols that
the host does not use (spanning tree, LLDP, other VLANs). A provider's network sends them to every port."""

_SLOWEST = 12_500_000
"""Bytes per second (100 Mbit/s). A lower speed is not that of a network card: TUN devices always report 10 Mbit/s
(drivers/net/tun.c)."""

_NODE = 'job="node_exporter"'
_INTERFACES = f'{_NODE},device!="lo"'


def alerts(limits: Thresholds) -> tuple[Rule, ...]:
    return (*_interfaces(limits), *_connections(limits))


def _interfaces(limits: Thresholds) -> tuple[Rule, ...]:
    def rate(way: str, kind: str) -> str:
        return f"rate(node_network_{way}_{kind}_total{{{_INTERFACES}}}[5m])"

    def packets(kind: str) -> str:
        return f"{rate('receive', kind)}\n                + {rate('transmit', kind)}"

    return (
        Alert(
            name="HostNetworkErrors",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            max by (job, instance, service, device) (
              (
                {packets("errs")}
                + {rate("transmit", "drop")}
                + clamp_min({rate("receive", "drop")} - {_LAYER_2}, 0)
              ) / (
                {packets("packets")}
                > 10
              )
            ) > {ratio(limits.network_errors)}
            """,
            summary="{{ $labels.device }} loses {{ $value | humanizePercentage }} of its packets",
            description="The host damages or drops packets on the way in or out, so connections stall and repeat what "
            "was lost. The alert needs ten packets a second. Of the packets dropped on arrival, it ignores "
            "ten a second.",
        ),
        Alert(
            name="HostNetworkSaturated",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            (
              {rate("receive", "bytes")} > {rate("transmit", "bytes")}
              or {rate("transmit", "bytes")}
            ) / (node_network_speed_bytes{{{_INTERFACES}}} >= {_SLOWEST})
              > {ratio(limits.network_used)}
            """,
            summary="{{ $labels.device }} carries {{ $value | humanizePercentage }} of what its network card can",
            description="The network card sends or receives nearly as much as it can, so further traffic waits or is "
            "lost. Where the card does not say its speed, as in many virtual machines, nobody can tell.",
        ),
        Alert(
            name="HostBondDegraded",
            severity="warning",
            service="host",
            wait="5m",
            expr=f"node_bonding_slaves{{{_NODE}}} - node_bonding_active{{{_NODE}}} > 0",
            summary='{{ $labels.master }} is missing {{ printf "%.0f" $value }} of its network cards',
            description="The bond works without them. A cable, a card or a port of the switch has failed. If the "
            "others fail too, the host is offline.",
        ),
    )


def _connections(limits: Thresholds) -> tuple[Rule, ...]:
    used = f"node_nf_conntrack_entries{{{_NODE}}} / node_nf_conntrack_entries_limit{{{_NODE}}}"
    table = Alert(
        name="HostConntrackFull",
        severity="warning",
        service="host",
        wait="5m",
        expr=f"{used} > {ratio(limits.conntrack)}",
        summary="The kernel's table of connections is {{ $value | humanizePercentage }} full",
        description="The firewall has an entry there for each connection, also for those of containers. When the table "
        "is full, the kernel drops the first packet of every new connection.",
    )
    return (
        table,
        # A full table alone hurts nobody: the kernel first removes connections without an answer.
        replace(
            table,
            severity="critical",
            wait="2m",
            expr=f"""
            {used} > 0.95
            and increase(node_nf_conntrack_stat_drop{{{_NODE}}}[5m]) > 0
            """,
            summary="New connections are lost: the kernel's table of them is {{ $value | humanizePercentage }} full",
            description="The kernel drops new connections to and from the host and all of its containers. Existing "
            "ones go on, so a dashboard that is open may look healthy.",
        ),
        Alert(
            name="HostTcpRetransmits",
            severity="warning",
            service="host",
            wait="15m",
            expr=f"""
            rate(node_netstat_Tcp_RetransSegs{{{_NODE}}}[5m]) / (rate(node_netstat_Tcp_OutSegs{{{_NODE}}}[5m]) > 10)
              > {ratio(limits.tcp_retransmits)}
            """,
            summary="TCP sends {{ $value | humanizePercentage }} of the host's segments again",
            description="Packets get lost on the way between the host and those it talks to, so everything takes "
            "longer. The alert needs ten segments a second, and does not see the connections of containers.",
        ),
        Alert(
            name="HostListenQueueFull",
            severity="warning",
            service="host",
            wait="10m",
            expr=f"rate(node_netstat_TcpExt_ListenDrops{{{_NODE}}}[5m]) > {limits.listen_drops:g}",
            summary="The host drops {{ $value | humanize }} new connections a second, because nobody accepts them",
            description="A program on the host accepts connections more slowly than they arrive, so its queue is full. "
            "Clients wait and try again. The alert does not see programs in containers.",
        ),
    )

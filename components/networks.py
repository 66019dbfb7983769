"""The networks of one stack."""

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from config.row import Zone
from config.settings import Settings
from config.settings.networks import own_networks


def networks(settings: Settings, engine: docker.Provider) -> Mapping[Zone, docker.Network]:
    """Zone → the network that this stack makes for it. Your own networks exist already."""
    opts = pulumi.ResourceOptions(provider=engine, delete_before_replace=True)
    edge = settings.edge
    addresses = docker.NetworkIpamConfigArgs(
        subnet=str(edge.subnet), gateway=str(edge.subnet[1]), ip_range=edge.given_out
    )
    result: dict[Zone, docker.Network] = {
        "inside": docker.Network("network", name=settings.prefix, opts=opts),
        "edge": docker.Network("edge", name=edge.name, ipam_configs=[addresses], opts=opts),
        "users": docker.Network("apps", name=settings.apps_network, opts=opts),
    }
    if any("door" in settings.joins(service) for service in settings.services):
        result["door"] = docker.Network("door", name=own_networks(settings.prefix)[3], internal=True, opts=opts)
    return result

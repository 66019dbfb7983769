"""Where both shippers read."""

import pytest

from config.container import Mount
from config.services.logs import shipper
from config.services.logs.shipper import RELABELLING
from tests.support.program import settings_of
from tests.unit.relabel import relabelled

META = "__meta_docker_container"
COOLIFYS = "u8s0k8ocws0wkkk48c0w4kc4-091512345678"
SYSLOG = {"source": "system", "service": "host"}


@pytest.mark.parametrize(
    ("container", "labels", "service"),
    [
        ("orders", {}, "orders"),
        ("shop-orders-1", {}, "shop-orders"),
        ("shop_orders_12", {}, "shop_orders"),
        ("job-20261124-deadbeef", {}, "job"),
        ("shop-web-1a2b3c4", {}, "shop-web"),
        ("shop-web-5e6d9e2f0c7b4a81b0f0d3c2a19e8f7d6c5b4a39", {}, "shop-web"),
        ("shop-web-1a2b3c4_uncommitted_0011223344556677", {}, "shop-web"),
        ("shop-web-1a2b3c4d-12ab-5678-9abc-def012345678", {}, "shop-web"),
        ("shop-web-v1.24.3", {}, "shop-web"),
        ("shop-web-1.24.3", {}, "shop-web"),
        ("shop-web-green", {}, "shop-web"),
        ("shop_web.1.x7k2m9q4w8e1r5t6y3u0i2o4p", {}, "shop_web"),
        ("shop_agent.a1b2c3d4e5f6g7h8i9j0k1l2m.x7k2m9q4w8e1r5t6y3u0i2o4p", {}, "shop_agent"),
        ("api-v2", {}, "api-v2"),
        ("green", {}, "green"),
        ("cache7", {}, "cache7"),
        ("1234", {}, "1234"),
        ("shop-orders-1", {"com_docker_compose_service": "orders"}, "orders"),
        ("shop-orders-1", {"com_docker_compose_service": "web", "observability_service": "orders"}, "orders"),
        ("shop-orders-1", {"observability_service": ""}, "shop-orders"),
        ("shop_web.1.x7k2m9q4w8e1r5t6y3u0i2o4p", {"com_docker_swarm_service_name": "shop_web"}, "shop_web"),
        ("shop.web.1", {}, "shop.web"),
        ("shop.web.1.upcoming-26123", {}, "shop.web"),
        (COOLIFYS, {}, "u8s0k8ocws0wkkk48c0w4kc4"),
        (COOLIFYS, {"com_docker_compose_service": COOLIFYS, "coolify_serviceName": "shop"}, "shop"),
        (COOLIFYS, {"coolify_serviceName": "shop"}, "shop"),
        ("u8s0k8ocws0wkkk48c0w4kc4", {"coolify_serviceName": "orders-db"}, "orders-db"),
        (COOLIFYS, {"com_docker_compose_service": "api", "coolify_serviceName": "shop"}, "api"),
        (
            "u8s0k8ocws0wkkk48c0w4kc4-pr-7",
            {"com_docker_compose_service": "u8s0k8ocws0wkkk48c0w4kc4-pr-7", "coolify_serviceName": "shop"},
            "u8s0k8ocws0wkkk48c0w4kc4-pr-7",
        ),
        (COOLIFYS, {"coolify_serviceName": "shop", "observability_service": "web"}, "web"),
        ("x", {"com_docker_swarm_service_name": "shop_web", "com_docker_compose_service": "web"}, "web"),
    ],
)
def test_a_service_is_called_by_its_label_else_by_compose_else_by_its_container(
    container: str, labels: dict[str, str], service: str
) -> None:
    target = {f"{META}_name": f"/{container}", f"{META}_log_stream": "stderr"}
    target |= {f"{META}_label_{name}": value for name, value in labels.items()}
    result = relabelled(target, [dict(rule) for rule in RELABELLING])
    assert result is not None
    public_labels = {name: value for name, value in result.items() if not name.startswith("__")}
    assert public_labels == {"container": container, "service": service, "source": "docker", "stream": "stderr"}


@pytest.mark.parametrize(("stack", "presence"), [("", True), ("nervous-test", True), ("nervous-other", False)])
def test_the_services_of_another_stack_are_its_own_business(stack: str, presence: bool) -> None:  # noqa: FBT001 - a column
    target = {f"{META}_name": "/orders", f"{META}_label_observability_stack": stack}
    assert (relabelled(target, shipper.own_stack(settings_of())) is not None) == presence


@pytest.mark.parametrize(
    ("logs", "files"),
    [
        ({}, [("/var/log/apps/**/*.log", {"source": "file"}), ("/var/log/syslog", SYSLOG)]),
        ({"system": "off"}, [("/var/log/apps/**/*.log", {"source": "file"})]),
        ({"system": "journal", "files": "/srv/logs/"}, [("/srv/logs/**/*.log", {"source": "file"})]),
    ],
)
def test_files_and_their_labels(logs: dict[str, str], files: list[tuple[str, dict[str, str]]]) -> None:
    assert list(shipper.files(settings_of({"logs": logs}))) == files


@pytest.mark.parametrize(
    ("logs", "folders"),
    [
        ({}, ["/var/log"]),
        ({"system": "off"}, ["/var/log"]),  # which is there, unlike what is below it
        ({"system": "off", "files": "/srv/logs"}, ["/srv/logs"]),
        ({"files": "/srv/logs"}, ["/srv/logs", "/var/log"]),
        ({"system": "journal"}, ["/var/log", "/etc/machine-id"]),
    ],
)
def test_no_more_of_the_host_is_seen_than_is_read(logs: dict[str, str], folders: list[str]) -> None:
    assert shipper.mounts(settings_of({"logs": logs})) == tuple(Mount(folder, folder) for folder in folders)

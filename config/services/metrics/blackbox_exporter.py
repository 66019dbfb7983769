"""blackbox exporter: probes addresses from outside the services behind them."""

from config.container import DIRECTORY, ConfigFiles, Container, http_health
from config.ports import METRICS
from config.settings import Settings
from config.yaml_text import digest, dump

PORT = METRICS["blackbox_exporter"]


def container(settings: Settings) -> Container:
    """Runs as `nobody`, because its probes need no more rights."""
    address = settings.listens("blackbox_exporter")
    return Container(
        service="blackbox_exporter",
        command=(f"--config.file={DIRECTORY}/blackbox.yml", f"--web.listen-address={address}:{PORT}"),
        user="65534:65534",
        port=PORT,
        health=http_health(PORT, "/-/healthy", address),
        config=_config(address),
    )


def _config(address: str) -> ConfigFiles:
    modules = {
        "http_2xx": {
            "prober": "http",
            "timeout": "8s",
            "http": {"preferred_ip_protocol": "ip4", "follow_redirects": False},
        },
        "tcp_connect": {"prober": "tcp", "timeout": "8s", "tcp": {"preferred_ip_protocol": "ip4"}},
    }
    # An unused module carries the version, because the exporter shows its modules but not its file.
    version = f"version_{digest({'modules': dump(modules)})}"
    return ConfigFiles(
        files={"blackbox.yml": dump({"modules": {**modules, version: {"prober": "tcp"}}})},
        validate="blackbox_exporter --config.check --config.file=blackbox.yml",
        expect={
            f"http://{address}:{PORT}/config": version,
            f"http://{address}:{PORT}/metrics": "blackbox_exporter_config_last_reload_successful 1",
        },
    )

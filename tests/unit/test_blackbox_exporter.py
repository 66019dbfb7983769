"""The modules by which probes are tried."""

from typing import get_args

import pytest
import yaml

from config.settings.exporters import Probe
from config.settings.units import seconds
from tests.support.program import EVERYTHING, config_of, settings_of

SETTINGS = settings_of(EVERYTHING)
CONFIG = config_of("blackbox_exporter", SETTINGS)
MODULES = yaml.safe_load(CONFIG.files["blackbox.yml"])["modules"]


@pytest.mark.parametrize("module", get_args(Probe.model_fields["module"].annotation))
def test_every_module_that_a_probe_may_name_is_there(module: str) -> None:
    assert MODULES[module]["prober"] == module.split("_", maxsplit=1)[0]


@pytest.mark.parametrize("module", get_args(Probe.model_fields["module"].annotation))
def test_a_probe_ends_before_its_scrape_does_so_that_a_failure_is_one(module: str) -> None:
    assert seconds(MODULES[module]["timeout"]) < seconds(SETTINGS.metrics.scrape_timeout)


def test_the_version_is_a_module_that_the_exporter_shows_and_no_probe_may_name() -> None:
    [version] = set(MODULES) - set(get_args(Probe.model_fields["module"].annotation))
    assert version.startswith("version_")
    address = SETTINGS.edge.address("blackbox_exporter")
    assert CONFIG.expect == {
        f"http://{address}:9115/config": version,
        f"http://{address}:9115/metrics": "blackbox_exporter_config_last_reload_successful 1",
    }

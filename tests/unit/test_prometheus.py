"""prometheus.yml, rule files and flags."""

from fnmatch import fnmatch
from typing import Any

import pytest
import yaml

from config.services.metrics.prometheus import container, main_file
from config.settings import Settings
from tests.support.program import EVERYTHING, config_of, settings_of

RULES = "groups: []\n"


def flags(settings: Settings) -> dict[str, str]:
    return dict(flag.partition("=")[::2] for flag in container(settings).command)


def version_of(settings: Settings, own_rules: dict[str, str] | None = None) -> str:
    text = config_of("prometheus", settings, own_rules).files["rules/version.yml"]
    [rule] = yaml.safe_load(text)["groups"][0]["rules"]
    version: str = rule["labels"]["version"]
    return version


def test_the_file_says_what_the_settings_say() -> None:
    settings = settings_of(
        {
            "environment": "prod",
            "metrics": {
                "scrape_interval": "30s",
                "scrape_timeout": "20s",
                "evaluation_interval": "1m",
                "retention": {"time": "30d", "size": "1536MiB"},
                "exemplars": 7,
                "external_labels": {"region": "eu"},
                "limits": {
                    "samples": 1000,
                    "labels": 20,
                    "label_value_length": 100,
                    "targets": 10,
                    "body_size": "5MiB",
                },
            },
        }
    )
    main = yaml.safe_load(config_of("prometheus", settings).files["prometheus.yml"])
    del main["scrape_configs"]
    assert main == {
        "global": {
            "scrape_interval": "30s",
            "scrape_timeout": "20s",
            "evaluation_interval": "1m",
            "external_labels": {"environment": "prod", "region": "eu"},
            "scrape_native_histograms": True,
            "always_scrape_classic_histograms": True,
            "body_size_limit": "5MB",
            "sample_limit": 1000,
            "keep_dropped_targets": 50,
        },
        "storage": {
            "tsdb": {"retention": {"time": "30d", "size": "1536MB"}, "out_of_order_time_window": "10m"},
            "exemplars": {"max_exemplars": 7},
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
    }


def test_by_default_it_keeps_60_days_and_scrapes_and_judges_every_15_seconds() -> None:
    main = main_file(settings_of())
    assert main["storage"]["tsdb"]["retention"] == {"time": "60d", "size": "45GB"}
    assert main["global"]["scrape_interval"] == main["global"]["evaluation_interval"] == "15s"


def test_a_user_can_rename_the_environment_for_the_outside() -> None:
    settings = settings_of({"metrics": {"external_labels": {"environment": "production"}}})
    assert main_file(settings)["global"]["external_labels"] == {"environment": "production"}


def test_a_dollar_of_an_external_label_is_no_variable_of_the_environment() -> None:
    """Prometheus 3 expands `$name` there, and takes `$$` for a dollar."""
    settings = settings_of({"metrics": {"external_labels": {"owner": "a$b ${HOME} $$"}}})
    assert main_file(settings)["global"]["external_labels"]["owner"] == "a$$b $${HOME} $$$$"


def test_retention_stands_in_the_file_only_so_that_a_change_needs_no_restart() -> None:
    assert not [flag for flag in flags(settings_of()) if "retention" in flag]


@pytest.mark.parametrize(
    "flag", ["--web.enable-lifecycle", "--web.enable-admin-api", "--web.enable-remote-write-receiver"]
)
def test_nobody_can_stop_it_or_delete_from_it_over_http(flag: str) -> None:
    assert flag not in flags(settings_of())


def test_it_keeps_exemplars_and_stays_below_its_limit() -> None:
    named = flags(settings_of())
    assert named["--enable-feature"] == "exemplar-storage"
    assert 0.5 < float(named["--auto-gomemlimit.ratio"]) < 0.95
    assert not container(settings_of()).go_memory_percent


def test_links_in_alerts_lead_where_people_reach_it() -> None:
    settings = settings_of({"external_urls": {"prometheus": "https://p.example/prometheus"}})
    named = flags(settings)
    assert named["--web.external-url"] == "https://p.example/prometheus"
    assert named["--web.route-prefix"] == "/"  # whatever the path outside, health checks and scrapes stay the same


def test_it_has_time_to_write_its_head_and_keeps_its_data() -> None:
    service = container(settings_of())
    assert service.grace_seconds >= 60
    assert flags(settings_of())["--storage.tsdb.path"] == service.data == "/prometheus"


def test_every_rule_file_is_one_that_it_loads() -> None:
    config = config_of("prometheus", settings_of(EVERYTHING), {"shop.yml": RULES})
    [pattern] = yaml.safe_load(config.files["prometheus.yml"])["rule_files"]
    rules = set(config.files) - {"prometheus.yml"}
    assert len(rules) > 10
    assert [name for name in rules if not fnmatch(name, pattern)] == []


def test_every_rule_file_is_yaml_with_groups_of_different_names() -> None:
    files = config_of("prometheus", settings_of(EVERYTHING)).files
    groups = [
        group["name"]
        for name, text in files.items()
        if name != "prometheus.yml"
        for group in yaml.safe_load(text)["groups"]
    ]
    assert len(groups) == len(set(groups)) >= 10


def test_the_users_rules_stand_beside_ours_and_cannot_replace_them() -> None:
    ours = config_of("prometheus", settings_of()).files
    both = config_of("prometheus", settings_of(), {"host.yml": RULES, "version.yml": RULES}).files
    assert both["rules/own-host.yml"] == both["rules/own-version.yml"] == RULES
    assert both["rules/host.yml"] == ours["rules/host.yml"]
    assert both.keys() - ours.keys() == {"rules/own-host.yml", "rules/own-version.yml"}


def test_thresholds_and_the_place_of_runbooks_reach_the_rules() -> None:
    settings = settings_of(
        {"alerts": {"thresholds": {"target_down": "7m"}, "runbooks": "https://wiki.example/runbooks/"}}
    )
    texts = "".join(config_of("prometheus", settings).files.values())
    assert "for: 7m" in texts
    assert "runbook_url: https://wiki.example/runbooks/Watchdog.md" in texts


@pytest.mark.parametrize(
    ("config", "own_rules"),
    [
        ({"metrics": {"scrape_interval": "20s"}}, {}),
        ({"alerts": {"thresholds": {"cpu": 70}}}, {}),
        ({"exporters": {"redis": {"address": "cache:6379"}}}, {}),
        ({}, {"shop.yml": RULES}),
    ],
    ids=["the main file", "a rule", "a target", "a rule file of the user"],
)
def test_any_change_makes_another_version(config: dict[str, Any], own_rules: dict[str, str]) -> None:
    assert version_of(settings_of(config), own_rules) != version_of(settings_of())


def test_a_change_within_a_users_rule_file_makes_another_version() -> None:
    one, other = ({"shop.yml": text} for text in (RULES, f"{RULES}# more\n"))
    assert version_of(settings_of(), one) != version_of(settings_of(), other)


def test_the_version_in_the_rules_is_what_the_api_is_asked_for() -> None:
    config = config_of("prometheus", settings_of())
    assert config.expect == {
        "http://127.0.0.1:9090/api/v1/rules": f'"version":"{version_of(settings_of())}"',
        "http://127.0.0.1:9090/metrics": "prometheus_config_last_reload_successful 1",
    }

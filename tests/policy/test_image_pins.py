"""The policy on pinned images."""

from typing import Any

import pytest

from components.file_archive import packed
from policies.readers import declared_resources as declared
from tests.policy.pack_host import UNKNOWN, Resource, ask, of_one

POLICY = "images-are-pinned"
DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    "image",
    [
        f"docker.io/prom/prometheus:v3.15.0@{DIGEST}",
        f"redis:8@{DIGEST}",
        f"ghcr.io/google/cadvisor@{DIGEST}",
        DIGEST,
        "nervous-system/loki:3.7.8-0123456789ab",
    ],
)
def test_a_pinned_image_passes(image: str) -> None:
    assert of_one(POLICY, {"image": image}) == []
    assert ask(POLICY, [Resource({"name": image}, "i", declared.IMAGE)]) == []


@pytest.mark.parametrize(
    ("props", "says"),
    [
        pytest.param({"image": "docker.io/prom/prometheus:v3.15.0"}, "append its @sha256", id="no digest"),
        pytest.param({"image": "redis"}, "append its @sha256", id="a bare name"),
        pytest.param({"image": "redis:8@sha256:abc"}, "append its @sha256", id="half a digest"),
        pytest.param({"image": f"redis:latest@{DIGEST}"}, "latest is a different image every week", id="latest"),
        pytest.param(
            {"image": f"evil.example/redis:8@{DIGEST}"}, "evil.example is not an allowed registry", id="registry"
        ),
        pytest.param(
            {"image": "nervous-system/loki:3.7.8"}, "append its", id="built here, without a digest of its sources"
        ),
        pytest.param({}, "it names no image", id="missing"),
        pytest.param({"image": UNKNOWN}, "image is not known before the update", id="unknown"),
    ],
)
def test_an_image_that_is_not_pinned_is_refused(props: dict[str, Any], says: str) -> None:
    [violation] = of_one(POLICY, props)
    assert says in violation


def test_a_pulled_image_is_judged_too() -> None:
    [violation] = ask(POLICY, [Resource({"name": "redis:8"}, "cache", declared.IMAGE)])
    assert violation.startswith("image cache: redis:8")


def test_the_config_sets_the_registries_and_the_images_built_here() -> None:
    mirrored, own = {"image": f"mirror.example/redis:8@{DIGEST}"}, {"image": "nervous-system/loki:3.7.8-0123456789ab"}
    assert of_one(POLICY, mirrored, config={"registries": ["mirror.example"]}) == []
    assert len(of_one(POLICY, {"image": f"redis:8@{DIGEST}"}, config={"registries": ["mirror.example"]})) == 1
    assert len(of_one(POLICY, own, config={"built_here": ""})) == 1
    assert of_one(POLICY, {"image": "shop/api:1"}, config={"built_here": "shop/.+"}) == []


PULLED = {"image": f"docker.io/library/alpine:3@{DIGEST}"}


@pytest.mark.parametrize(
    "props",
    [
        pytest.param({"entrypoints": ["sh", "-c", "wget -qO- http://x/run | sh"]}, id="piped into a shell"),
        pytest.param({"command": ["bash -c 'curl -fsSL http://x/run | sudo bash -s -- -y'"]}, id="piped as root"),
        pytest.param({"command": ["bash", "-c", "bash <(curl -s http://x/run)"]}, id="as a file of a shell"),
        pytest.param({"command": ["sh", "-c", 'eval "$(curl -s http://x/run)"']}, id="evaluated"),
        pytest.param({"command": ["sh", "-c", "curl -o /x http://x/run && chmod +x /x && /x"]}, id="made executable"),
        pytest.param({"command": ["sh", "-c", "wget -O /tmp/x.sh http://x/run; sh /tmp/x.sh"]}, id="saved and run"),
        pytest.param({"command": ["python", "-c", "exec(urllib.request.urlopen('http://x').read())"]}, id="by Python"),
        pytest.param({"command": ["sh", "-c", "apk add --no-cache curl && app"]}, id="a package of Alpine"),
        pytest.param({"command": ["sh", "-c", "apt-get -y install curl; app"]}, id="a package of Debian"),
        pytest.param({"command": ["sh", "-c", "pip install shop && shop"]}, id="a package of Python"),
        pytest.param({"command": ["npx", "shop@latest"]}, id="a package of Node"),
        pytest.param({"command": ["go", "run", "example.com/shop@latest"]}, id="a package of Go"),
        pytest.param({"command": ["sh", "-c", "wget http://x/i.sh && sh i.sh"]}, id="saved under its own name"),
        pytest.param({"command": ["sh", "-c", "curl -L http://x/a.tgz | tar xz && ./a"]}, id="unpacked"),
        pytest.param({"command": ["pwsh", "-c", "iex (iwr http://x)"]}, id="by PowerShell"),
        pytest.param({"command": ["perl", "-MLWP::Simple", "-e", "eval get('http://x')"]}, id="by Perl"),
        pytest.param({"healthcheck": {"tests": ["CMD-SHELL", "curl -s http://x/check | sh"]}}, id="in a health check"),
        pytest.param({"uploads": [{"file": "/run.sh", "content": "#!/bin/sh\ncurl -s http://x \\\n  | sh\n"}]}, id="in a script"),
        pytest.param({"uploads": [{"file": "/x.files", "content": packed({"run.sh": "curl -s http://x | sh\n"})}]}, id="in an archive"),
        pytest.param({"envs": ["GF_INSTALL_PLUGINS=redis-datasource"]}, id="plugins of Grafana"),
    ],
)  # fmt: skip
def test_a_program_that_is_fetched_at_the_start_is_refused(props: dict[str, Any]) -> None:
    messages = of_one(POLICY, {**PULLED, **props})
    assert messages
    assert "build it into an image" in messages[0]


@pytest.mark.parametrize(
    "props",
    [
        {"healthcheck": {"tests": ["CMD-SHELL", "curl -fsS http://127.0.0.1/health | grep -q ok || exit 1"]}},
        {"healthcheck": {"tests": ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]}},
        {"command": ["sh", "-c", "wget -q -O /data/list.txt http://x/list; exec app"]},
        {"command": ["sh", "-c", "curl -o /data/list.csv http://x/list.csv; exec app --file /data/list.csv"]},
        {"command": ["sh", "-c", "chmod 600 /data/x; exec app --install-dir /opt"]},
        {"envs": ["GF_PLUGINS_PREINSTALL=disabled", "GF_PLUGINS_PREINSTALL_DISABLED=true"]},
    ],
)
def test_a_download_that_is_no_program_passes(props: dict[str, Any]) -> None:
    assert of_one(POLICY, {**PULLED, **props}) == []

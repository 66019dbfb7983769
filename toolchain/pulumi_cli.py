"""The Pulumi CLI with its Python language host and the docker and command providers.

In this order: the official ones that this machine has, the official downloads, builds from Go modules. The three are
never mixed, and what is built here is kept away from the user's own Pulumi home.
"""

import functools
import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests

from config.docker_cli import VARIABLES
from toolchain import golang, reach, store
from toolchain.report import Step, ToolchainError, note, run

VERSION = "3.256.0"
"""Of the Python package too: pyproject.toml, pulumi/go.mod and this line move together."""
PROVIDERS = {"docker": "5.2.0", "command": "1.2.1"}
LANGUAGE_HOST = "pulumi-language-python"

MODULE = Path(__file__).with_name("pulumi")
TAGS = "no_compose"
LDFLAGS = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={VERSION}"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"

RELEASES = f"https://github.com/pulumi/pulumi/releases/download/v{VERSION}"
CHECKSUMS = f"{RELEASES}/pulumi-{VERSION}-checksums.txt"
PLUGINS = "https://get.pulumi.com/releases/plugins"
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
OF_PLUGINS = {"x64": "amd64", "arm64": "arm64"}
"""Name of a processor in an archive of the CLI → the one in an archive of a plugin."""
PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
"""Answers that another try may change, as all from 500 on."""

# What of the published packages a build from here lacks.
LEFT_OUT = {
    "docker": {"docker:index/image:Image"},
    "command": {"command:local:run", "assetPaths", "archivePaths", "assets", "archive"},
}


GARBAGE = {"GOGC": "400", "GOMEMLIMIT": "256MiB"}
"""How seldom the CLI and its providers, which live for seconds, collect garbage. At Go's default (100) that takes a sixth of the CPU
of a `make up` that changes nothing: 46 and 42 s of all its processes, 39 and 37 s with 800, taken in turn."""


@dataclass(frozen=True)
class Pulumi:
    """A CLI that works, and the environment that it needs."""

    binaries: Path
    official: bool
    home: Path | None = None

    @property
    def cli(self) -> Path:
        return self.binaries / "pulumi"

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """For every process that runs Pulumi: which engine is meant, the settings say alone."""
        base = os.environ if base is None else base
        env = GARBAGE | {key: value for key, value in base.items() if key not in VARIABLES}
        env |= {"PATH": f"{self.binaries}{os.pathsep}{base.get('PATH', '')}", "PULUMI_SKIP_UPDATE_CHECK": "true"}
        if self.home:
            if credentials_file(base).exists():  # of `pulumi login`, which is not of this build
                env["PULUMI_CREDENTIALS_PATH"] = str(credentials_file(base).parent)
            env["PULUMI_HOME"] = str(self.home)
            env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"  # it would look for them on the internet
        return env


def credentials_file(environment: Mapping[str, str]) -> Path:
    """Where `pulumi login` keeps its logins."""
    folder = environment.get("PULUMI_CREDENTIALS_PATH") or environment.get("PULUMI_HOME")
    return Path(folder or Path.home() / ".pulumi") / "credentials.json"


@functools.cache
def ensure() -> Pulumi:
    """Pulumi in exactly this version, with its providers."""
    with Step("Pulumi") as step:
        official = _on_path() or _downloaded()
        if official and not _missing_plugins():
            step.result = f"{VERSION}, official"
            return official
        reason = _unreachable(_downloads(official))
        if reason:
            note(
                f"{reason}: CLI and providers are builds from here, not the official ones; the first one takes minutes"
            )
        found = _built() if reason else _complete(official)
        step.result = f"{VERSION}, {'official' if found.official else 'built here from Go modules'}"
    return found


def _downloads(official: Pulumi | None) -> list[str]:
    """All that would be fetched to complete the official set."""
    machine = MACHINES.get(platform.machine(), platform.machine())
    plugins = [
        f"{PLUGINS}/pulumi-resource-{name}-v{PROVIDERS[name]}-{platform.system().lower()}-{OF_PLUGINS.get(machine, machine)}.tar.gz"
        for name in _missing_plugins()
    ]
    return plugins if official else [CHECKSUMS, f"{RELEASES}/{_archive()}", *plugins]


def _unreachable(urls: Sequence[str]) -> str:
    """Why the official set cannot be had from here; empty where it can be.

    Raises:
        ToolchainError: a place has answered that it cannot serve now. To build for minutes, and to change from one set to the
            other from run to run, would be no answer to that.
    """
    answers: dict[str, int] = {}

    def begins(url: str) -> bool:
        answers[url] = reach.status(url)
        return bool(answers[url])

    silent = reach.silent({url: functools.partial(begins, url) for url in urls})
    refusals = {url: status for url, status in answers.items() if status >= HTTPStatus.BAD_REQUEST}
    passing = [url for url, code in refusals.items() if code in PASSING or code >= HTTPStatus.INTERNAL_SERVER_ERROR]
    if passing and not silent:
        raise ToolchainError(
            f"{passing[0]} answers with {refusals[passing[0]]}: Pulumi cannot be downloaded now",
            fix="run again in some minutes, or put Pulumi "
            f"{VERSION} on PATH; its plugins: pulumi plugin install resource docker {PROVIDERS['docker']}, and command {PROVIDERS['command']}",
        )
    if silent:
        return f"{min(silent)} cannot be reached"
    return next((f"{url} answers with {code}" for url, code in refusals.items()), "")


def _on_path() -> Pulumi | None:
    found = shutil.which("pulumi")
    if not found:
        return None
    folder = Path(found).resolve().parent
    answer = subprocess.run(
        [found, "version"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
    )
    exact = answer.stdout.strip() == f"v{VERSION}"  # a build from here says it without the v
    host = shutil.which(LANGUAGE_HOST) or (folder / LANGUAGE_HOST).exists()
    return Pulumi(Path(found).parent, official=True) if exact and host else None


def _missing_plugins() -> list[str]:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return [
        name
        for name, version in PROVIDERS.items()
        if not (home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}").exists()
    ]


def _complete(official: Pulumi | None) -> Pulumi:
    """Download what is missing of the official set."""
    if official is None:
        folder = store.product("pulumi-official", _download_key(), _download)
        official = Pulumi(folder / "pulumi", official=True)
    for name in _missing_plugins():
        run(
            [official.cli, "plugin", "install", "resource", name, PROVIDERS[name]],
            env=official.environment(),
            log="pulumi-plugin",
            fix="run it by hand; where downloads are blocked half-way, block them fully and Pulumi is built instead",
        )
    return official


def _download_key() -> str:
    return store.content_key(RELEASES, platform.machine())


def _downloaded() -> Pulumi | None:
    folder = store.product_path("pulumi-official", _download_key())
    return Pulumi(folder / "pulumi", official=True) if folder.is_dir() else None


def _archive() -> str:
    machine = MACHINES.get(platform.machine())
    if not machine:
        raise ToolchainError(f"there is no Pulumi release for {platform.machine()}", fix="install Pulumi by hand")
    return f"pulumi-v{VERSION}-{platform.system().lower()}-{machine}.tar.gz"


def _download(folder: Path) -> None:
    archive = _archive()
    wanted = checksum_of(archive, _get(CHECKSUMS).decode())
    content = _get(f"{RELEASES}/{archive}")
    got = hashlib.sha256(content).hexdigest()
    if got != wanted:
        raise ToolchainError(
            f"{archive} is not what the release says: sha256 {got}, published {wanted}",
            fix="run again; if it stays so, something between here and the release changes downloads",
        )
    path = folder / archive
    path.write_bytes(content)
    with tarfile.open(path) as tar:
        # Unknown before Python 3.11.4 (Debian 12 has 3.11.2), where it changes nothing: the hash is right in any case.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)  # noqa: S202
    path.unlink()


def checksum_of(archive: str, checksums: str) -> str:
    """The published SHA-256 of a file, from lines of `<hash>  <name>`."""
    for line in checksums.splitlines():
        digest, _, name = line.partition(" ")
        if name.strip() == archive:
            return digest
    raise ToolchainError(
        f"the release's checksums do not name {archive}", fix="download Pulumi by hand and put it on PATH"
    )


def _get(url: str) -> bytes:
    try:
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise ToolchainError(f"the download of {url} failed: {error}", fix="run again") from error
    return answer.content


def _built() -> Pulumi:
    go = golang.toolchain()
    key = store.content_key(MODULE, TAGS, LDFLAGS, go.version, platform.machine())

    def build(folder: Path) -> None:
        binaries = folder / "bin"
        binaries.mkdir()
        go.build(
            MODULE,
            [CLI_PACKAGE, f"./cmd/{LANGUAGE_HOST}", *(f"./cmd/pulumi-resource-{name}" for name in PROVIDERS)],
            tags=TAGS,
            ldflags=LDFLAGS,
            into=binaries,
            log="pulumi-build",
        )
        shutil.copy(go.module_folder(MODULE, SDK_MODULE) / "python" / "cmd" / EXECUTOR, binaries / EXECUTOR)
        (binaries / EXECUTOR).chmod(0o755)
        for name, version in PROVIDERS.items():
            plugin = folder / "home" / "plugins" / f"resource-{name}-v{version}"
            plugin.mkdir(parents=True)
            (binaries / f"pulumi-resource-{name}").rename(plugin / f"pulumi-resource-{name}")
        _check(Pulumi(binaries, official=False, home=folder / "home"))

    folder = store.product("pulumi-built", key, build)
    return Pulumi(folder / "bin", official=False, home=folder / "home")


def _check(pulumi: Pulumi) -> None:
    """Refuse a build whose providers disagree with their Python packages: it would fail in the middle of a deployment."""
    # Only a build needs them, and they take half a second to import.
    from toolchain import provider_schema  # noqa: PLC0415

    packages = {"docker": "pulumi_docker", "command": "pulumi_command.local"}
    home = pulumi.home or Path()
    for name, version in PROVIDERS.items():
        provider = home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        text = run([pulumi.cli, "package", "get-schema", provider], env=pulumi.environment(), log=f"schema-{name}")
        package = importlib.import_module(packages[name])
        wrong = provider_schema.differences(json.loads(text), package, LEFT_OUT[name])
        if wrong:
            lines = "\n".join(f"    {line}" for line in wrong)
            raise ToolchainError(
                f"the {name} provider built here does not match the Python package:\n{lines}",
                fix=f"toolchain/pulumi and the versions in pyproject.toml must belong together ({name} {version})",
            )

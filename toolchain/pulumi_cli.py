"""The Pulumi CLI with its Python language host and the docker and command providers.

The first set that is complete is used: the official one on this machine, the official downloads, or a build from Go
modules. The three are never mixed. Builds have their own Pulumi home, apart from the user's.
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
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests

from config.docker_cli import VARIABLES
from toolchain import golang, reach, store
from toolchain.report import Step, ToolchainError, note, run

VERSION = "3.256.0"
"""Version of the CLI and of the Python package: pyproject.toml, pulumi/go.mod, pulumi.txt and this line change
together."""
PROVIDERS = {"docker": "5.2.0", "command": "1.2.1"}
LANGUAGE_HOST = "pulumi-language-python"

MODULE = Path(__file__).with_name("pulumi")
TAGS = "no_compose"
LDFLAGS = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={VERSION}"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"
PINNED = Path(__file__).with_name("pulumi.txt")

RELEASES = f"https://github.com/pulumi/pulumi/releases/download/v{VERSION}"
PLUGINS = "https://get.pulumi.com/releases/plugins"
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
OF_PLUGINS = {"x64": "amd64", "arm64": "arm64"}
"""Name of a processor in an archive of the CLI → its name in an archive of a plugin."""
PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
"""HTTP statuses that may change if you try again. So may all from 500 on."""

# What a build from here lacks, compared with the published packages.
LEFT_OUT = {
    "docker": {"docker:index/image:Image"},
    "command": {"command:local:run", "assetPaths", "archivePaths", "assets", "archive"},
}


GARBAGE = {"GOGC": "400", "GOMEMLIMIT": "256MiB"}
"""Makes Go collect garbage less often in the CLI and its providers, which run for seconds. At Go's default (GOGC=100)
it takes a sixth of the CPU of a `make up` that changes nothing: all its processes take 46 and 42 s, and 39 and 37 s
with 800, measured in turn."""


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
        """Environment for every process that runs Pulumi. It has no variables that name an engine: only the settings
        do."""
        base = os.environ if base is None else base
        env = GARBAGE | {key: value for key, value in base.items() if key not in VARIABLES}
        env |= {"PATH": f"{self.binaries}{os.pathsep}{base.get('PATH', '')}", "PULUMI_SKIP_UPDATE_CHECK": "true"}
        if self.home:
            if credentials_file(base).exists():  # logins of `pulumi login`, kept in the user's own home
                env["PULUMI_CREDENTIALS_PATH"] = str(credentials_file(base).parent)
            env["PULUMI_HOME"] = str(self.home)
        env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = (
            "true"  # Pulumi would fetch plugins without comparing their hashes
        )
        return env


def credentials_file(environment: Mapping[str, str]) -> Path:
    """The file in which `pulumi login` keeps its logins."""
    folder = environment.get("PULUMI_CREDENTIALS_PATH") or environment.get("PULUMI_HOME")
    return Path(folder or Path.home() / ".pulumi") / "credentials.json"


@functools.cache
def ensure() -> Pulumi:
    """Return Pulumi in exactly this version, with its providers. Downloads or builds it if needed.

    Raises:
        ToolchainError: a download fails for now, has another hash, or the build fails.
    """
    with Step("Pulumi") as step:
        official = _on_path() or _downloaded()
        if official and not _missing_plugins():
            step.result = f"{VERSION}, official"
            return official
        wanted = _downloads(official)
        reason = _unpinned(wanted) or _unreachable(list(wanted.values()))
        if reason:
            note(
                f"{reason}: CLI and providers are built here, and are not the official ones; the first build takes minutes"
            )
        result = _built() if reason else _complete(official)
        step.result = f"{VERSION}, {'official' if result.official else 'built here from Go modules'}"
    return result


def _downloads(official: Pulumi | None) -> dict[str, str]:
    """The downloads that complete the official set: archive → its URL."""
    plugins = {archive: f"{PLUGINS}/{archive}" for archive in map(_plugin_archive, _missing_plugins())}
    return plugins if official else {(archive := _archive()): f"{RELEASES}/{archive}", **plugins}


def _plugin_archive(name: str) -> str:
    machine = MACHINES.get(platform.machine(), platform.machine())
    system = f"{platform.system().lower()}-{OF_PLUGINS.get(machine, machine)}"
    return f"pulumi-resource-{name}-v{PROVIDERS[name]}-{system}.tar.gz"


def _unpinned(archives: Iterable[str]) -> str:
    """Why the archives cannot be checked: one has no hash. Empty if all have one."""
    missing = sorted(set(archives) - pinned().keys())
    return f"{PINNED.name} has no hash of {missing[0]}" if missing else ""


@functools.cache
def pinned() -> dict[str, str]:
    """Archive → its SHA-256, in hexadecimal digits."""
    lines = [line.split() for line in PINNED.read_text().splitlines() if not line.startswith("#")]
    return {name: digest for digest, name in lines}


def _unreachable(urls: Sequence[str]) -> str:
    """Why the official set is not available from here; empty if it is.

    Raises:
        ToolchainError: a server answers that it cannot serve now. A build would take minutes, and runs would alternate
            between two sets.
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
    path = shutil.which("pulumi")
    if not path:
        return None
    folder = Path(path).resolve().parent
    answer = subprocess.run(
        [path, "version"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
    )
    exact = answer.stdout.strip() == f"v{VERSION}"  # a build from here prints it without the v
    host = shutil.which(LANGUAGE_HOST) or (folder / LANGUAGE_HOST).exists()
    return Pulumi(Path(path).parent, official=True) if exact and host else None


def _missing_plugins() -> list[str]:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return [
        name
        for name, version in PROVIDERS.items()
        if not (home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}").exists()
    ]


def _complete(official: Pulumi | None) -> Pulumi:
    """Download what is missing from the official set."""
    if official is None:
        folder = store.product("pulumi-official", _download_key(), _download)
        official = Pulumi(folder / "pulumi", official=True)
    for name in _missing_plugins():
        with tempfile.TemporaryDirectory() as scratch:
            file = _fetched(_plugin_archive(name), PLUGINS, Path(scratch))
            run(
                [official.cli, "plugin", "install", "resource", name, PROVIDERS[name], "--file", file],
                env=official.environment(),
                log="pulumi-plugin",
            )
    return official


def _download_key() -> str:
    return store.content_key(RELEASES, PINNED, platform.machine())


def _downloaded() -> Pulumi | None:
    folder = store.product_path("pulumi-official", _download_key())
    return Pulumi(folder / "pulumi", official=True) if folder.is_dir() else None


def _archive() -> str:
    machine = MACHINES.get(platform.machine())
    if not machine:
        raise ToolchainError(f"there is no Pulumi release for {platform.machine()}", fix="install Pulumi by hand")
    return f"pulumi-v{VERSION}-{platform.system().lower()}-{machine}.tar.gz"


def _download(folder: Path) -> None:
    path = _fetched(_archive(), RELEASES, folder)
    with tarfile.open(path) as tar:
        # `tarfile` has no filters before Python 3.11.4 (Debian 12 has 3.11.2). They are not needed: the hash matches.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)  # noqa: S202
    path.unlink()


def _fetched(archive: str, place: str, folder: Path) -> Path:
    """Download an archive into `folder`. Only an archive with the pinned hash is written.

    Raises:
        ToolchainError: the download fails, has another hash, or no hash is pinned.
    """
    if problem := _unpinned([archive]):
        raise ToolchainError(problem, fix=f"put Pulumi {VERSION} and its plugins on this machine by hand")
    content = _get(f"{place}/{archive}")
    digest, wanted = hashlib.sha256(content).hexdigest(), pinned()[archive]
    if digest != wanted:
        raise ToolchainError(
            f"{archive} is not the one that {PINNED.name} knows: its sha256 is {digest}, and should be {wanted}",
            fix="run again; if it stays so, something between here and the release changes downloads, or the release has been changed",
        )
    path = folder / archive
    path.write_bytes(content)
    return path


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
    """Refuse a build whose providers differ from their Python packages: it would fail in the middle of a deployment.

    Raises:
        ToolchainError: a provider differs.
    """
    # Imported here because only a build needs it, and the import takes half a second.
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

"""Elasticsearch and OpenSearch for tests, assembled from their modules on Maven Central.

They are the genuine servers with few of their modules. Some modules of Elasticsearch are under the Elastic License 2.0 only: the
machine that runs the tests downloads them, and they are never passed on. Our own code in `elasticsearch/` replaces small parts that
Central lacks; none of these stores or finds anything.
"""

import platform
import shutil
import tempfile
import zipfile
from pathlib import Path

from toolchain import debian, maven
from toolchain.report import Step

ELASTICSEARCH = "8.19.21"
PIECES = Path(__file__).with_name("elasticsearch")
OPENSEARCH = "2.19.1"
OPENSEARCH_MODULES = {
    "transport-netty4": ("transport-netty4-client", "org.opensearch.transport.Netty4Plugin"),
    "analysis-common": ("analysis-common", "org.opensearch.analysis.common.CommonAnalysisPlugin"),
    "mapper-extras": ("mapper-extras-client", "org.opensearch.index.mapper.MapperExtrasPlugin"),
}
"""Module → its artifact and its class. The published ones lack their descriptors."""
PLATFORMS = {"x86_64": "linux-x64", "aarch64": "linux-aarch64"}
"""Machine → what the server calls it."""
AGENT_MANIFEST = "Agent-Class: Agent\nCan-Redefine-Classes: true\nCan-Retransform-Classes: true\n"


def elasticsearch(folder: Path) -> None:
    """A home for the server at `folder`, without configuration, beside a Java and the libraries of both."""
    with Step(f"elasticsearch {ELASTICSEARCH}: from Maven Central"):
        _java(folder)
        home = folder / "home"
        library = home / "lib"
        maven.copy([f"org.elasticsearch:elasticsearch:{ELASTICSEARCH}"], library)
        _entitlements(library)
        maven.jar(home / "bin" / "launcher.jar", [PIECES / "ServerArguments.java"], libraries=[library])
        maven.jar(
            library / "tools" / "ansi-console" / "ansi-console.jar",
            [PIECES / "AnsiConsoleLoader.java"],
            libraries=[library],
        )
        _native(folder, library)
        for name in ("transport-netty4", "x-pack-core"):
            _module(home, name)
        _root_page(home)


def _java(folder: Path) -> None:
    maven.ensure()
    debian.unpack(("curl", "libc6", "libfaketime", "libstdc++6", "libzstd1", "tini", "zlib1g"), folder)
    shutil.copyfile(next(folder.rglob("libfaketime.so.1")), folder / "libfaketime.so")
    maven.runtime(folder / "jre")
    # Apart from its folder, so that the packing looks for what it is linked with.
    (folder / "jre" / "lib" / "server" / "libjvm.so").rename(folder / "libjvm.so")


def _entitlements(library: Path) -> None:
    """What replaced the security manager: a bridge that is patched into java.base, and an agent."""
    bridge = f"elasticsearch-entitlement-bridge-{ELASTICSEARCH}.jar"
    with tempfile.TemporaryDirectory() as scratch:
        maven.copy([f"org.elasticsearch:elasticsearch-entitlement-bridge:{ELASTICSEARCH}"], Path(scratch))
        # Not in lib itself, which is the module path.
        (library / "entitlement-bridge").mkdir()
        shutil.move(Path(scratch, bridge), library / "entitlement-bridge")
    maven.jar(
        library / "entitlement-agent" / "agent.jar",
        [PIECES / "Agent.java"],
        libraries=[library],
        manifest=AGENT_MANIFEST,
    )


def _native(folder: Path, library: Path) -> None:
    """The distribution's zstd in place of Elastic's own."""
    native = library / "platform" / PLATFORMS[platform.machine()]
    native.mkdir(parents=True)
    shutil.copyfile(next(folder.rglob("libzstd.so.1")), native / "libzstd.so")


def _module(home: Path, name: str) -> None:
    """A published module; its descriptor and its policy lie inside its jar."""
    folder = home / "modules" / name
    maven.copy([f"org.elasticsearch.plugin:{name}:{ELASTICSEARCH}"], folder)
    _without(folder, home / "lib")
    with zipfile.ZipFile(folder / f"{name}-{ELASTICSEARCH}.jar") as jar:
        for path in jar.namelist():
            if path.startswith(f"META-INF/es-plugins/{name}/") and not path.endswith("/"):
                (folder / Path(path).name).write_bytes(jar.read(path))


def _without(folder: Path, server: Path) -> None:
    """Remove the libraries that the server has: it refuses to see a class twice."""
    for library in folder.glob("*.jar"):
        if (server / library.name).exists():
            library.unlink()


def _root_page(home: Path) -> None:
    folder = home / "modules" / "rest-root"
    maven.jar(folder / "rest-root.jar", [PIECES / "RootPage.java"], libraries=[home / "lib"])
    (folder / "plugin-descriptor.properties").write_text(
        "name=rest-root\ndescription=the page /\nclassname=nervoussystem.RootPage\nextended.plugins=\n"
        f"version={ELASTICSEARCH}\nelasticsearch.version={ELASTICSEARCH}\njava.version={maven.RELEASE}\n"
        "has.native.controller=false\n"
    )


def opensearch(folder: Path) -> None:
    """As `elasticsearch`, for OpenSearch."""
    with Step(f"opensearch {OPENSEARCH}: from Maven Central"):
        _java(folder)
        home = folder / "home"
        server = [
            f"org.opensearch:{name}:{OPENSEARCH}"
            for name in ("opensearch", "opensearch-cli", "opensearch-plugin-classloader")
        ]
        # What the distribution adds to the server's own libraries, in the versions of this release.
        maven.copy([*server, "org.apache.logging.log4j:log4j-core:2.21.0", "net.java.dev.jna:jna:5.13.0"], home / "lib")
        for name, (artifact, plugin) in OPENSEARCH_MODULES.items():
            module = home / "modules" / name
            maven.copy([f"org.opensearch.plugin:{artifact}:{OPENSEARCH}"], module)
            _without(module, home / "lib")
            (module / "plugin-descriptor.properties").write_text(
                f"name={name}\ndescription={name}\nclassname={plugin}\nextended.plugins=\nversion={OPENSEARCH}\n"
                f"opensearch.version={OPENSEARCH}\njava.version=11\nhas.native.controller=false\n"
            )
            # Theirs are not published either, and these are tests of what Jaeger stores.
            (module / "plugin-security.policy").write_text("grant { permission java.security.AllPermission; };\n")

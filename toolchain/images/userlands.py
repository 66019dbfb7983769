"""Shell and tools of an image, as in the official one: from the distribution's packages, with our changes on top."""

import subprocess
from pathlib import Path

from toolchain import debian
from toolchain.images.faces import Userland
from toolchain.images.rootfs import Rootfs

# Not the static one: its shell runs its own applets before what is on PATH.
_BUSYBOX = ("busybox", "ca-certificates")
PACKAGES = {
    "none": _BUSYBOX,  # for the certificates, without a download of its own
    "busybox": _BUSYBOX,
    "gnu": ("bash", "ca-certificates", "coreutils", "dash", "findutils", "grep", "gzip", "mawk", "sed", "tar"),
}
"""Kind → what it is made from."""

_NC = """\
#!/bin/sh
# As an nc that keeps these file descriptors for itself.
exec /bin/busybox nc "$@" {closed}
"""
_SYNC = """\
#!/bin/sh
# As a sync without FEATURE_SYNC_FANCY.
[ $# = 0 ] || echo "sync: ignoring all arguments" >&2
exec /bin/busybox sync
"""


def fill(root: Rootfs, userland: Userland, base: Path) -> None:
    """`base` holds the unpacked packages of the userland's kind."""
    if userland.kind == "busybox":
        _busybox(root, userland, base)
    if userland.kind == "gnu":
        _gnu(root, userland, base)


def _busybox(root: Rootfs, userland: Userland, base: Path) -> None:
    busybox = next(path for path in base.rglob("bin/busybox") if path.is_file())
    root.copy("/bin/busybox", busybox)
    if userland.nc_takes:
        root.text("/bin/nc", _NC.format(closed=" ".join(f"{number}>&-" for number in userland.nc_takes)), mode=0o755)
    if not userland.sync_files:
        root.text("/bin/sync", _SYNC, mode=0o755)
    had = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in sorted({*userland.tools} & {*had}):
        root.link(f"/bin/{applet}", "busybox")
    _libraries(root, base, [busybox])


def _gnu(root: Rootfs, userland: Userland, base: Path) -> None:
    root.link("/bin/sh", userland.sh)
    root.link("/bin/awk", "mawk")
    names = sorted({*userland.tools, userland.sh, "mawk"})
    files = {
        f"/{folder}/{name}": base / folder / name
        for name in names for folder in ("bin", "usr/bin") if (base / folder / name).is_file()
    }  # fmt: skip
    for path, program in files.items():
        root.copy(path, program)
    _libraries(root, base, list(files.values()))


def _libraries(root: Rootfs, base: Path, programs: list[Path]) -> None:
    for path, library in sorted(debian.shared_objects(base, *programs).items()):
        root.copy(path, library)

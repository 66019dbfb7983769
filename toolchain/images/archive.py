"""An image of one layer in the form that `docker load` reads.

Loading needs no builder, and knows the whole configuration of an image; `docker import` does not (no stop signal).
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import IO, Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# The same content is the same image, whenever it is packed.
CREATED = "1970-01-01T00:00:00Z"


def write(archive: IO[bytes], reference: str, layer: Path, config: dict[str, Any]) -> None:
    """Write the image `reference` with the file system in the tar archive `layer`."""
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    machine = platform.machine()
    description = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": CREATED,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED, "created_by": "nervous-system toolchain"}],
    }
    text = json.dumps(description).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(layer, "layer.tar")
        for path, data in ((name, text), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))

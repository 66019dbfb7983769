"""What a real busybox on a real engine makes of a volume is what a restore takes, with every kind of file that services keep."""

from pathlib import Path

from docker import DockerClient

from engine.docker_api import execute
from operate import volume_helper
from operate.backup import archives, volume
from operate.backup.manifest import Kept
from operate.backup.place import Place
from tests.support import leftovers

FILL = """cd /data && mkdir -p wal 'a b' set && chmod 2775 set && echo x >wal/000 && ln wal/000 same && ln -s ../wal/000 'a b/newest'
i=0; while [ $i -lt 450 ]; do i=$((i+1)); echo $i >wal/file-$i; done
n=$(head -c 150 /dev/zero | tr '\\0' n); mkdir $n && echo long >$n/$n && echo ü >ü && : >empty && dd if=/dev/zero of=hole bs=1 count=1 seek=9000000"""
LIST = "cd /data && find . ! -type d -exec sha256sum {} + | sort && find . -type d | sort"


def test_every_kind_of_file_that_services_keep_is_taken(
    client: DockerClient, local_images: dict[str, str], tmp_path: Path
) -> None:
    prefix, place = leftovers.new_prefix(), Place(str(tmp_path / "backup"))
    one, two = (client.volumes.create(f"{prefix}-{name}") for name in ("one", "two"))
    with place.made():
        pass
    try:
        with volume_helper.helper(
            client, local_images["busybox"], prefix=prefix, volume=str(one.name), writes=True
        ) as container:
            assert execute(container, ["sh", "-c", FILL])[0] == 0
            first = place.write("loki.at-rest.tar.gz", volume.at_rest(container))
            assert execute(container, ["sh", "-c", "echo later >/data/wal/later && rm /data/wal/file-7"])[0] == 0
            volume.set_aside(container)
            entry = Kept(
                image="",
                image_id="",
                seconds_held=0,
                files=(
                    first,
                    place.write("loki.changed.tar.gz", volume.changed(container)),
                    place.write("loki.names.gz", volume.names(container)),
                ),
            )
            before = execute(container, ["sh", "-c", LIST])
        assert archives.must_be_sound(place, entry, 2**30) < 2**30 - 9_000_000
        with volume_helper.helper(
            client, local_images["busybox"], prefix=prefix, volume=str(two.name), writes=True
        ) as container:
            at_rest, changed, names = (place.read(file) for file in entry.files)
            volume.fill(container, (at_rest, changed, names))
            assert execute(container, ["sh", "-c", LIST]) == before
    finally:
        one.remove()
        two.remove()

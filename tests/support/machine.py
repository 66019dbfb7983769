"""The machine that the end-to-end tests run on: `python -m tests.support.machine` makes it ready, and shows how.

Done once before the test sessions start side by side; a session finds all of it there, or makes what is missing.
"""

import contextlib
from pathlib import Path

from docker import DockerClient

from tests.strangers import products
from tests.support import leftovers, present_engine
from toolchain import engine_setup, images, pulumi_cli, store
from toolchain.report import readable_errors


def client() -> DockerClient:
    """The local engine, installed and started when it must be; rid of what killed sessions left on it."""
    with store.lock("e2e-engine"):  # sessions begin together: one of them starts it, one of them tidies up
        engine = engine_setup.ensure()
        leftovers.remove(engine)
        present_engine.remove_left()
        return engine


FOLLOWERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_FOLLOWERS = 1024


def _room_for_followers() -> None:
    """Docker 20.10 takes an inotify instance for each log that is followed, and each test stack follows those of all.

    With the kernel's 128, which are root's in all containers together, cAdvisor finds none left and does not start.
    """
    if int(FOLLOWERS.read_text()) < ENOUGH_FOLLOWERS:
        with contextlib.suppress(PermissionError):  # not root: a smaller number of stacks has to do
            FOLLOWERS.write_text(str(ENOUGH_FOLLOWERS))


def main() -> None:
    _room_for_followers()
    client()
    pulumi_cli.ensure()
    images.local_images()
    present_engine.build()
    products.make()


if __name__ == "__main__":
    with readable_errors():
        main()

"""The policy on volumes with data."""

from collections.abc import Iterable
from typing import Any

import pytest

from policies.readers import declared_resources as declared
from tests.policy.pack_host import UNKNOWN, Resource, ask

POLICY = "data-volumes"


def volume(*, protect: bool = False, **props: Any) -> Resource:
    return Resource({"name": "shop-db", **props}, "db", declared.VOLUME, protect=protect)


def service(**props: Any) -> Resource:
    """A service that writes to the volume."""
    mounted = {"volumes": [{"volumeName": "shop-db", "containerPath": "/data"}]}
    return Resource({**mounted, **props}, "database")


def outputs(*retained: str) -> Resource:
    return Resource({"data_volumes": list(retained)}, "stack", declared.STACK)


READS = {"volumes": [{"volumeName": "shop-db", "containerPath": "/data", "readOnly": True}]}
NAMELESS = {"volumes": [{"containerPath": "/data"}]}


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param([], id="nothing"),
        pytest.param([volume(protect=True), service()], id="protected"),
        pytest.param([volume(), service(), outputs("shop-db")], id="retained, as the program says"),
        pytest.param([volume(), service(**READS)], id="only read"),
        pytest.param([volume(), service(mustRun=False)], id="written by a job"),
        pytest.param([service()], id="a volume of another program"),
        pytest.param([service(volumes=[{"fromContainer": UNKNOWN}])], id="that of another container"),
        pytest.param([service(volumes=[{"hostPath": "/srv", "containerPath": "/data"}])], id="a folder of the host"),
        pytest.param([service(**NAMELESS, mustRun=False)], id="a job's, without a name"),
        pytest.param([service(command=["--storage.tsdb.path=/data/tsdb"])], id="data below the volume"),
        pytest.param([service(command=["--storage.path=/x"], volumes=[], mounts=[{"type": "volume", "source": "v", "target": "/x"}])], id="mounted"),
    ],
)  # fmt: skip
def test_data_on_a_volume_that_is_not_removed_passes(resources: Iterable[Resource]) -> None:
    assert ask(POLICY, resources) == []


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        pytest.param([volume(), service()], "volume db of database is removed with all its data once the program no longer names it", id="not protected"),
        pytest.param([volume(), service(), outputs("shop-db-2")], "is removed with all its data once", id="another one is retained"),
        pytest.param([volume(protect=True, labels=[{"label": "a", "value": "b"}]), service()], "has labels", id="labels"),
        pytest.param([Resource({}, "db", declared.VOLUME)], "has a name that the provider chooses", id="no name"),
        pytest.param([Resource({"name": UNKNOWN}, "db", declared.VOLUME)], "the provider chooses", id="unknown name"),
        pytest.param([volume(), service(volumes=[], mounts=[{"type": "volume", "source": "shop-db", "target": "/data"}])], "is removed with all its data", id="mounted the other way"),
        pytest.param([service(volumes=[], mounts=[{"type": "volume", "target": "/data"}])], "/data is a volume without a name", id="nameless, the other way"),
        pytest.param([service(**NAMELESS)], "container database: /data is a volume without a name", id="nameless"),
        pytest.param([service(command=["--storage.tsdb.path=/prometheus"])], "its data in /prometheus is removed", id="beside it"),
        pytest.param([service(command=["--storage.tsdb.path=/data2"])], "its data in /data2 is removed", id="nearly in it"),
        pytest.param([service(command=["--storage.path=/data"], **READS)], "its data in /data is removed", id="read-only"),
        pytest.param([service(volumes=UNKNOWN)], "volumes is not known", id="unknown volumes"),
        pytest.param([service(volumes=[{"volumeName": UNKNOWN, "containerPath": "/data"}])], "volumeName is not known", id="unknown volume"),
        pytest.param([outputs(UNKNOWN)], "stack stack: data_volumes.0 is not known", id="unknown output"),
    ],
)  # fmt: skip
def test_data_that_may_be_lost_is_refused(resources: Iterable[Resource], says: str) -> None:
    [violation] = ask(POLICY, resources)
    assert says in violation


def test_the_config_allows_data_to_be_lost() -> None:
    assert ask(POLICY, [service(**NAMELESS)], config={"disposable": {"database": "a cache"}}) == []

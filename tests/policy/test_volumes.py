"""The policy on volumes with data."""

from collections.abc import Iterable
from typing import Any

import pytest

import declared
from tests.policy.engine import UNKNOWN, Resource, ask

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
        pytest.param([service()], id="somebody else's"),
        pytest.param([service(volumes=[{"fromContainer": UNKNOWN}])], id="that of another container"),
        pytest.param([service(volumes=[{"hostPath": "/srv", "containerPath": "/data"}])], id="a folder of the host"),
        pytest.param([service(**NAMELESS, mustRun=False)], id="a job's, without a name"),
        pytest.param([service(command=["--storage.tsdb.path=/data/tsdb"])], id="data below the volume"),
        pytest.param([service(command=["--storage.path=/x"], volumes=[], mounts=[{"type": "volume", "target": "/x"}])], id="mounted"),
    ],
)  # fmt: skip
def test_data_on_a_volume_that_stays_passes(resources: Iterable[Resource]) -> None:
    assert ask(POLICY, resources) == []


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        pytest.param([volume(), service()], "volume db of database goes when the program no longer names it", id="not protected"),
        pytest.param([volume(), service(), outputs("shop-db-2")], "goes when", id="another one is retained"),
        pytest.param([volume(protect=True, labels=[{"label": "a", "value": "b"}]), service()], "has labels", id="labels"),
        pytest.param([Resource({}, "db", declared.VOLUME)], "has a name that the provider makes up", id="no name"),
        pytest.param([Resource({"name": UNKNOWN}, "db", declared.VOLUME)], "the provider makes up", id="unknown name"),
        pytest.param([service(**NAMELESS)], "container database: /data is a volume without a name", id="nameless"),
        pytest.param([service(command=["--storage.tsdb.path=/prometheus"])], "its data in /prometheus goes", id="beside it"),
        pytest.param([service(command=["--storage.tsdb.path=/data2"])], "its data in /data2 goes", id="nearly in it"),
        pytest.param([service(command=["--storage.path=/data"], **READS)], "its data in /data goes", id="read-only"),
        pytest.param([service(volumes=UNKNOWN)], "volumes is not known", id="unknown volumes"),
        pytest.param([service(volumes=[{"volumeName": UNKNOWN, "containerPath": "/data"}])], "volumeName is not known", id="unknown volume"),
        pytest.param([outputs(UNKNOWN)], "stack stack: data_volumes.0 is not known", id="unknown output"),
    ],
)  # fmt: skip
def test_data_that_may_go_is_refused(resources: Iterable[Resource], says: str) -> None:
    [violation] = ask(POLICY, resources)
    assert says in violation


def test_data_may_go_where_the_config_says_so() -> None:
    assert ask(POLICY, [service(**NAMELESS)], config={"disposable": {"database": "a cache"}}) == []

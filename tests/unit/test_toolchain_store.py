"""Products: when a key changes, when nothing is built, and that half a product never appears."""

import threading
from pathlib import Path

import pytest

from toolchain import store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nervous-system"


def test_key_follows_content_and_names_but_not_the_place(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "cmd").mkdir(parents=True)
        (folder / "go.mod").write_text("module x\n")
        (folder / "cmd" / "main.go").write_text("package main\n")
    key = store.content_key(one, "flags")
    assert store.content_key(two, "flags") == key
    (two / "cmd" / "main.go").rename(two / "cmd" / "other.go")
    assert store.content_key(two, "flags") != key
    (one / "go.mod").write_text("module y\n")
    assert store.content_key(one, "flags") != key


def test_key_tells_parts_apart() -> None:
    assert store.content_key("ab", "c") != store.content_key("a", "bc")
    assert store.content_key("a", "b") != store.content_key("b", "a")


def test_a_product_is_built_once() -> None:
    built: list[Path] = []
    for _ in range(2):
        path = store.product("thing", "key", built.append)
    assert len(built) == 1
    assert path == store.product_path("thing", "key")
    assert path.is_dir()


def test_another_key_is_another_product() -> None:
    first = store.product("thing", "one", lambda folder: (folder / "file").touch())
    second = store.product("thing", "two", lambda _: None)
    assert first != second
    assert (first / "file").exists()


def test_a_failed_build_leaves_nothing(cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.product("thing", "key", build)
    assert not store.product_path("thing", "key").exists()
    assert not list((cache / "products").iterdir())


def test_what_a_killed_run_left_is_removed(cache: Path) -> None:
    leftover = cache / "products" / ".thing-abandoned"
    other = cache / "products" / ".other-abandoned"
    for folder in (leftover, other):
        folder.mkdir(parents=True)
    store.product("thing", "key", lambda _: None)
    assert not leftover.exists()
    assert other.exists()  # perhaps being built, under its own lock


def test_two_runs_at_once_build_once() -> None:
    built: list[Path] = []
    started = threading.Barrier(2)

    def run() -> None:
        started.wait()
        store.product("thing", "key", built.append)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1

"""The cache folder, its keys, and whole files only."""

from pathlib import Path

import pytest

from avalanche_aim.cache import cache_dir, digest, resolve_cache, write_atomically


def test_own_variable_comes_before_xdg_and_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", "~/own")
    assert cache_dir() == Path.home() / "own"
    monkeypatch.delenv("AVALANCHE_AIM_CACHE")
    assert cache_dir() == Path("/xdg/avalanche_aim")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "avalanche_aim"


def test_cache_argument_is_a_switch_or_a_folder(own_cache: Path, tmp_path: Path) -> None:
    assert resolve_cache(True, "encoded") == own_cache / "encoded"
    assert resolve_cache(False, "encoded") is None
    assert resolve_cache(tmp_path, "encoded") == tmp_path


@pytest.mark.parametrize("cache", [None, 1, ""])
def test_other_cache_arguments_are_refused(cache: object) -> None:
    with pytest.raises(TypeError, match="expected True, False or a folder"):
        resolve_cache(cache, "encoded")  # type: ignore[arg-type]


def test_digest_depends_on_content_and_not_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

"""The cache folder, its keys, and whole files only."""

from pathlib import Path

import pytest

from avalanche_aim.storage.files import cache_dir, digest, new_folder, resolve_cache, write_atomically


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


def test_a_new_folder_appears_whole_and_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "old").touch()
    with new_folder(tmp_path / "a" / "b") as partial:
        (partial / "new").touch()
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_new_folder_that_fails_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    for name in ("old", "new"):
        with pytest.raises(error), new_folder(tmp_path / name) as partial:
            (partial / "half").touch()
            raise error
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["file"]


def test_an_old_folder_comes_back_where_the_new_one_cannot_take_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    rename = Path.rename

    def once(self: Path, target: Path) -> Path:
        if self.name == "old" or not (tmp_path / "fails").exists():
            return rename(self, target)
        (tmp_path / "fails").unlink()
        raise OSError("no")

    monkeypatch.setattr(Path, "rename", once)
    (tmp_path / "fails").touch()
    with pytest.raises(OSError, match="no"), new_folder(tmp_path / "old"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["old"]

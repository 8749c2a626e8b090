"""Layouts of one's own: registered, or brought by an installed package (docs/extending.md has a whole one)."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from layout_files import aimmerging

from avalanche_aim.text.data.layouts import LAYOUTS, Layout, TaskFiles, detect, read_tasks, register_layout

module = sys.modules[detect.__module__]


class Mine(Layout):
    """A folder that says so."""

    name = "mine"
    pattern = "MINE and <task>.txt"

    def matches(self, folder: Path) -> bool:
        return (folder / "MINE").exists()

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        return {}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    layouts = list(LAYOUTS)
    yield
    LAYOUTS[:] = layouts
    module._register_installed.cache_clear()


def test_a_layout_of_ones_own_is_tried_before_all_others(tmp_path: Path) -> None:
    register_layout(Mine())
    assert detect(aimmerging(tmp_path)).name == "AIMMerging"
    (tmp_path / "MINE").touch()
    assert detect(tmp_path).name == "mine"


def test_one_of_the_same_name_is_replaced() -> None:
    for _ in range(2):
        register_layout(Mine())
    assert [layout.name for layout in LAYOUTS].count("mine") == 1


def test_it_is_listed_where_no_layout_fits(tmp_path: Path) -> None:
    register_layout(Mine())
    with pytest.raises(FileNotFoundError, match=r"mine: MINE and <task>\.txt"):
        read_tasks(tmp_path, ["a"])


@pytest.mark.parametrize("given", [Mine, None, Layout(), "mine"])
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="expected a Layout with a name and a pattern"):
        register_layout(given)  # type: ignore[arg-type]


def test_an_installed_package_brings_one_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "MINE").touch()
    points = {"avalanche_aim.layouts": [EntryPoint("mine", f"{__name__}:Mine", "avalanche_aim.layouts")]}
    monkeypatch.setattr(module, "entry_points", lambda group: points[group])
    module._register_installed.cache_clear()
    assert detect(tmp_path).name == "mine"


@pytest.mark.parametrize("value", [f"{__name__}:Nothing", "no.such.module:Mine", f"{__name__}:Path"])
def test_an_entry_point_that_is_none_is_named(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("bad", value, "avalanche_aim.layouts")
    monkeypatch.setattr(module, "entry_points", lambda group: [point])
    module._register_installed.cache_clear()
    with pytest.raises(
        ImportError, match=r"entry point 'bad' of avalanche_aim\.layouts: expected a subclass of Layout"
    ):
        detect(tmp_path)

"""Bad input of every kind: a few of each here, thousands with ``python tests/fuzz``."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from kinds import KINDS
from promise import Broken, Kind, try_out

from avalanche_aim.merging import History

EXAMPLES = 3
"""Of a kind, the same in every run; times its share."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_bad_input_ends_in_a_result_or_a_clear_error(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(tmp_path))

    examples = 2 if kind.name == "report of damaged runs" else EXAMPLES * kind.share  # each draws all plots

    @settings(max_examples=examples, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(kind.inputs)
    def read(given: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try_out(kind, given, Path(folder))

    read()


# The promise itself: each way to break it is told


def _kind(**parts: object) -> Kind:
    return Kind("made up", KINDS[0].inputs, **{"names": ("field",), **parts})  # type: ignore[arg-type]


def _foreign(given: object, folder: Path) -> None:
    raise ValueError("field: expected something")  # not raised by the package


def _loses(given: object, folder: Path) -> None:
    (folder / "a").write_text("other")


def _ours(given: object, folder: Path) -> None:
    History.from_dict([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"read": lambda given, folder: {}["a"]}, "foreign: KeyError"),
        ({"read": _foreign}, "foreign: ValueError"),
        ({"read": lambda given, folder: int("x")}, "foreign: ValueError"),
        ({"read": lambda given, folder: exit(3)}, "foreign: SystemExit"),
        ({"read": _loses}, r"files: \['a'\] changed"),
        ({"read": _ours, "names": ("field",)}, "names neither file nor field"),
    ],
)
def test_a_broken_promise_is_told(parts: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(Broken, match=reason):
        try_out(_kind(**{"write": lambda given, folder: (folder / "a").write_text("whole"), **parts}), None, tmp_path)


def test_a_hang_is_interrupted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def hang(given: object, folder: Path) -> None:
        while True:
            pass

    monkeypatch.setattr("promise.SECONDS", 0.05)
    with pytest.raises(Broken, match="hang"):
        try_out(_kind(read=hang), None, tmp_path)


def test_a_result_and_a_clear_error_keep_it(tmp_path: Path) -> None:
    assert try_out(_kind(read=lambda given, folder: 1), None, tmp_path)
    assert not try_out(_kind(read=_ours, names=("history",)), None, tmp_path)

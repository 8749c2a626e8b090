"""What a command shows of warnings."""

import sys
import warnings

import pytest

from avalanche_aim.cli.warned import above_the_bar


def test_warnings_of_others_that_nobody_can_act_on_are_left_out() -> None:
    with warnings.catch_warnings(record=True) as caught, above_the_bar():
        warnings.warn("no QP solver found on your system, you can install …", stacklevel=1)
        warnings.warn("`is_x` is deprecated and will be removed in v6", FutureWarning, stacklevel=1)
        warnings.simplefilter("always", DeprecationWarning)  # as Avalanche does before each
        warnings.warn("Call to deprecated function update", DeprecationWarning, stacklevel=1)
    assert caught == []


def test_a_warning_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with above_the_bar():
        warnings.simplefilter("always")
        warnings.warn("AIMMerging: nothing was merged", stacklevel=1)
    assert capsys.readouterr().err.splitlines() == ["warning: AIMMerging: nothing was merged"]
    assert warnings.showwarning.__module__ == "warnings"


def test_where_there_is_no_terminal_warnings_are_as_ever() -> None:
    with pytest.warns(UserWarning, match="nothing was merged"), above_the_bar():
        warnings.warn("AIMMerging: nothing was merged", stacklevel=1)

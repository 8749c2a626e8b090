"""How strategies look."""

from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.experiments import STRATEGIES
from avalanche_aim.report.palette import COLOURS, KNOWN, STRATEGY_COLOURS, look

LOOKS = {look(name) for name in KNOWN}


def test_strategies_of_the_package_are_known_and_look_unlike_one_another() -> None:
    assert set(STRATEGIES) <= set(KNOWN) and len(LOOKS) == len(KNOWN)


@given(st.text(min_size=1))
def test_a_strategy_of_ones_own_always_looks_the_same_and_unlike_the_known(name: str) -> None:
    assert look(name) == look(name)
    assert (look(name) in LOOKS) == (name in KNOWN)


def test_the_default_strategies_differ_in_colour_and_in_marker() -> None:
    looks = [look(name) for name in ("naive", "replay", "aim")]
    assert len({own.colour for own in looks}) == len({own.marker for own in looks}) == 3


def test_colours_of_strategies_can_be_read_on_both_papers() -> None:
    for name in (*STRATEGY_COLOURS, "ink", "muted", "accent"):
        for own, paper in zip(COLOURS[name], COLOURS["paper"], strict=True):
            brighter, darker = sorted((luminance(own), luminance(paper)), reverse=True)
            assert (brighter + 0.05) / (darker + 0.05) > 3.0, (name, own)  # WCAG 2.1, graphics and large text


def luminance(colour: str) -> float:
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

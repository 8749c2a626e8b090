"""The colours of plots and page, and how each strategy looks: the same in every report."""

from dataclasses import dataclass
from zlib import crc32

COLOURS = {
    "paper": ("#ffffff", "#11161d"), "soft": ("#f3f5f8", "#1b222c"), "ink": ("#16202c", "#e8edf3"),
    "muted": ("#566273", "#a3afbd"), "rule": ("#d5dbe3", "#36414e"), "accent": ("#0f5fb8", "#7db7ff"),
    "shade": ("#9aa6b4", "#7b8899"),
    "vermilion": ("#c63f00", "#ff8a50"), "blue": ("#1060b8", "#6fb1ff"), "grey": ("#4b5866", "#c5ced8"),
    "green": ("#00805a", "#3ed0a0"), "purple": ("#7440b8", "#c3a0ff"), "ochre": ("#8f6b00", "#ecc94b"),
    "rose": ("#cf3a9a", "#ff90cf"), "sky": ("#1d8fc0", "#8adcff"),
}  # fmt: skip
"""Name → in light and in dark mode. Plots are drawn in the light ones; a page puts variables for them."""
STRATEGY_COLOURS = tuple(COLOURS)[-8:]
MARKERS = "os^DvPX*"
KNOWN = (
    *("aim", "replay", "naive", "fixed-interval", "ewc", "joint", "mix-replay", "aim-replay"),
    *("lwf", "cumulative", "si", "der", "aim-economical", "aim-reference", "single-merge", "random-interval"),
    *("alternate", "er-ace", "averaging", "ema-replay", "forever", "mer", "magmax", "wsc"),
    *("slao", "mir", "gdumb", "gem", "agem", "mas", "ewc-online", "sure"),
    *("aim-paper", "aim-settled", "aim-held-out", "aim-angle", "aim-model-time", "aim-thirds", "aim-lean"),
    *("aim-self-written", "aim-straight"),
)
"""Whose looks differ from one another; a new name is added at the end, so that no other changes."""


@dataclass(frozen=True)
class Look:
    """A colour's name and a marker; together they tell strategies apart for the colour-blind, too."""

    colour: str
    marker: str

    @property
    def hex(self) -> str:
        """The colour in light mode."""
        return light(self.colour)


def light(name: str) -> str:
    """Return a colour as it is drawn.

    :param name: a key of :data:`COLOURS`.
    """
    return COLOURS[name][0]


def look(strategy: str) -> Look:
    """Return how a strategy looks, from its name alone.

    :param strategy: any name; one that is not :data:`KNOWN` has a look that none of those has.
    """
    place = KNOWN.index(strategy) if strategy in KNOWN else 40 + crc32(strategy.encode()) % 24
    colour, turn = place % 8, place // 8
    return Look(STRATEGY_COLOURS[colour], MARKERS[(colour + turn) % 8])

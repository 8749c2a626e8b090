"""AIMMerging with one idea taken out or put in: strategies of the evidence in docs/results.md and docs/beyond.md,
not of the library.

python -m avalanche_aim run --plugins benchmarks/evidence/strategies.py --strategies aim aim-at-end …
"""

from functools import partial
from typing import Any

from avalanche.training import Naive

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.experiments import STRATEGIES, Budget, Strategy
from avalanche_aim.merging import SharesOfTask
from benchmarks.evidence.turning import Turning

AT_END = {"merges_at_end": True}
AVERAGED = {"name": "exponential", "decay": 0.99}
NO_FORGETTING: dict[str, Any] = {"forgetting": "none"}
"""No historical loss is taken, so that no merge comes early, and α₁ grows with the learning signal alone."""
UNDOING_NOTHING = {"name": "fixed", "new": 1.0, "past": 1.0}
FIRST, LAST = r"layers\.1\.", r"layers\.4\."
"""The two layers of the small network by their weights' names."""


def aim(budget: Budget, preset: str, parts: dict[str, Any], **options: Any) -> dict[str, Any]:
    """AIM with other parts; a part that has a state is given as a function that makes it."""
    made = {name: part() if callable(part) else part for name, part in parts.items()}
    return {"plugins": [AIMMergingPlugin(preset, memory=budget.rehearsal(), seed=budget.seed, **{**made, **options})]}


def variant(preset: str = "paper", **parts: Any) -> Strategy:
    """Name a variant."""
    return Strategy(Naive, partial(aim, preset=preset, parts=parts))


def without_the_last_merge() -> SharesOfTask:
    """Merges at one and two thirds of a task; the last third stays as it was trained."""
    schedule = SharesOfTask(3)
    schedule.merges_at_end = False
    return schedule


def grouped(group: str) -> dict[str, Any]:
    """Let one layer keep all that it learned, the other half."""
    return {"weights": {"name": "grouped", "groups": {group: (1.0, 1.0)}, "others": (0.5, 0.5)}}


STRATEGIES |= {
    "replay-25": Strategy(Naive, partial(STRATEGIES["replay"].arguments, share=0.25)),
    "aim-at-end": variant(schedule=AT_END),
    "aim-no-forgetting": variant(**NO_FORGETTING),
    "fixed-at-end": variant(schedule={"name": "fixed", "n": 8, **AT_END}, **NO_FORGETTING),
    "alternate-ema": Strategy(Naive, partial(STRATEGIES["alternate"].arguments, slow=AVERAGED)),
    # `lean` with one idea taken out: docs/beyond.md.
    "lean-unmerged": variant("lean", weights=UNDOING_NOTHING),
    "lean-slow": variant("lean", weights=UNDOING_NOTHING, slow=AVERAGED),
    "lean-no-last": variant("lean", schedule=without_the_last_merge),
    "lean-adaptive": variant("settled", rehearsal={"ratio": 0.3}),
    **{f"lean-turning-{growth}": variant("lean", schedule=partial(Turning, growth)) for growth in (1.2, 1.4, 1.6)},
    "lean-every-8": variant("lean", schedule={"name": "fixed", "n": 8, **AT_END}),
    "lean-no-memory": variant("lean", rehearsal={"ratio": 0.0}),
    "lean-shared": variant("lean", rehearsal={"optimizer": "shared"}),
    "lean-first-kept": variant("lean", **grouped(FIRST)),
    "lean-last-kept": variant("lean", **grouped(LAST)),
    # `straight` is `lean` with both of these.
    "straight-weights": variant("lean", weights="straight"),
    "straight-memory": variant("lean", rehearsal={"per": "straight"}),
}

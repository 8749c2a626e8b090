"""AIMMerging with one idea taken out or put in: strategies of the evidence in docs/results.md, not of the library.

python -m avalanche_aim run --plugins benchmarks/evidence/strategies.py --strategies aim aim-at-end …
"""

from functools import partial
from typing import Any

from avalanche.training import Naive

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.experiments import STRATEGIES, Budget, Strategy

AT_END = {"merges_at_end": True}
AVERAGED = {"name": "exponential", "decay": 0.99}
NO_FORGETTING: dict[str, Any] = {"forgetting": "none"}
"""No historical loss is taken, so that no merge comes early, and α₁ grows with the learning signal alone."""


def aim(budget: Budget, parts: dict[str, Any], **options: Any) -> dict[str, Any]:
    """AIM `paper` with other parts."""
    return {"plugins": [AIMMergingPlugin("paper", memory=budget.rehearsal(), seed=budget.seed, **{**parts, **options})]}


def variant(**parts: Any) -> Strategy:
    """Name a variant."""
    return Strategy(Naive, partial(aim, parts=parts))


STRATEGIES |= {
    "replay-25": Strategy(Naive, partial(STRATEGIES["replay"].arguments, share=0.25)),
    "aim-at-end": variant(schedule=AT_END),
    "aim-no-forgetting": variant(**NO_FORGETTING),
    "fixed-at-end": variant(schedule={"name": "fixed", "n": 8, **AT_END}, **NO_FORGETTING),
    "alternate-ema": Strategy(Naive, partial(STRATEGIES["alternate"].arguments, slow=AVERAGED)),
}

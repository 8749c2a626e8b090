"""The rivals as strategies: what each adds to plain training, made from a budget.

All rehearse the same examples as replay and AIM do. With an empty memory each of them that rehearses is plain training.
"""

from typing import Any

from avalanche.training.plugins import ReplayPlugin

from ...merging import ExponentialAverage, ModelTime
from ...plugin import AIMMergingPlugin
from ..strategy import Arguments, Budget
from .evaluated import EvaluatedWeights
from .forever import StrengthenedRehearsal
from .magmax import MagMax
from .mix_replay import MixReplay
from .slao import SLAO
from .sure import IntermittentReplay, SurprisingMemory
from .wsc import WeightSpaceConsolidation


def remembered(batch_size: int, share: float) -> int:
    """Return how many remembered examples join a batch of new ones.

    :param batch_size: new examples of an iteration, of all processes together.
    :param share: of the remembered ones in the whole batch.
    :return: at least 1.
    :raises ValueError: for a share outside (0, 1).
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ValueError(f"share: expected the memory's share of a batch, in (0, 1), got {share!r:.80}")
    return max(1, round(batch_size * share / (1 - share)))


def replay(budget: Budget, share: float = 0.5) -> Arguments:
    """Each batch has its new examples and so many remembered ones that these are ``share`` of it."""
    memory = budget.rehearsal()
    size = remembered(budget.batch_size, share)
    return {"plugins": [ReplayPlugin(mem_size=memory.max_size, batch_size_mem=size, storage_policy=memory)]}


def mix_replay(budget: Budget) -> Arguments:
    """Memory and new data shuffled together."""
    return {"plugins": [MixReplay(budget.rehearsal())]}


def alternate(budget: Budget, interval: int = 8, merges_at_end: bool = False, **options: Any) -> Arguments:
    """S iterations on the task, S on the memory, nothing undone: AIM at a fixed interval with α₁ = α₂ = 1."""
    chosen: Arguments = {
        "schedule": {"name": "fixed", "n": interval, "merges_at_end": merges_at_end},
        "weights": {"name": "fixed", "new": 1.0, "past": 1.0},
        "forgetting": "none",
    }
    given = {"preset": "paper", "memory": budget.rehearsal(), "seed": budget.seed, **chosen, **options}
    return {"plugins": [AIMMergingPlugin(**given)]}


def mer(budget: Budget, share: float = 0.25, interval: int = 8, epsilon: float = 0.5) -> Arguments:
    """Replay, and every k iterations θ ← θ₋ₖ + ε (θ − θ₋ₖ): merges without memory iterations.

    arXiv 2508.01908, in a third party's note, has k = 500 and ε = 0.1 on long streams; ours is as often as AIM merges,
    to tell what AIM's order of batches adds.
    """
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon: expected a number in (0, 1], got {epsilon!r:.80}")
    (plugin,) = replay(budget, share)["plugins"]
    reptile = AIMMergingPlugin(
        "paper",
        memory=plugin.storage_policy,
        schedule={"name": "fixed", "n": interval},
        weights={"name": "fixed", "new": epsilon, "past": 1 - epsilon},
        forgetting="none",
        rehearsal={"ratio": 0.0},
        seed=budget.seed,
    )
    return {"plugins": [plugin, reptile]}


def ema_replay(budget: Budget, decay: float = 0.995, share: float = 0.5) -> Arguments:
    """Replay, evaluated with slow ← λ slow + (1 − λ) θ after each iteration."""
    (plugin,) = replay(budget, share)["plugins"]
    return {"plugins": [plugin, EvaluatedWeights(ExponentialAverage(decay), plugin.storage_policy)]}


def sure(budget: Budget, decay: float = 0.995, every: int = 2, surprise: bool = True) -> Arguments:
    """SuRe: slow weights, rehearsal in every second iteration, and a memory of the examples of highest loss."""
    memory = budget.rehearsal(SurprisingMemory) if surprise else budget.rehearsal()
    plugin = IntermittentReplay(memory, every, remembered(budget.batch_size, 0.5))
    return {"plugins": [plugin, EvaluatedWeights(ExponentialAverage(decay), memory)]}


def forever(
    budget: Budget,
    strength: float = 1e-3,
    calibration: int = 24,
    spacing: float | None = None,
    gamma: float = 1.0,
    iterations: int | None = None,
) -> Arguments:
    """Rehearsal on a forgetting curve in model time, with a penalty on leaving the last task's weights."""
    time = ModelTime(calibration, spacing)
    plugin = AIMMergingPlugin(
        memory=budget.rehearsal(),
        schedule=time,
        weights={"name": "fixed", "new": 1.0, "past": 1.0},
        forgetting="none",
        rehearsal=StrengthenedRehearsal(time, strength, gamma, iterations),
        seed=budget.seed,
    )
    return {"plugins": [plugin]}


def self_written(budget: Budget, confidence: float = 0.5, distinct: float = 0.7, **options: Any) -> Arguments:
    """AIM `settled` on examples that the model writes itself, as many of each past task as a memory would hold."""
    from ...text.self_written import SelfWrittenMemory, SelfWrittenRehearsal

    memory = SelfWrittenMemory(max(1, budget.per_task), budget.seed, confidence=confidence, distinct=distinct)
    rehearsal = SelfWrittenRehearsal(memory)
    return {"plugins": [AIMMergingPlugin("settled", rehearsal=rehearsal, seed=budget.seed, **options)]}


def wsc(budget: Budget, warmup: float = 0.5, retain: float = 0.2, share: float | None = None) -> Arguments:
    """Weight space consolidation on top of mixed replay; of replay with a share of each batch where one is given."""
    (plugin,) = (mix_replay(budget) if share is None else replay(budget, share))["plugins"]
    return {"plugins": [plugin, WeightSpaceConsolidation(plugin.storage_policy, warmup, retain)]}


def magmax(budget: Budget, scale: float = 0.5) -> Arguments:
    """The task vector of largest magnitude for each weight; no memory."""
    return {"plugins": [MagMax(scale)]}


def slao(budget: Budget) -> Arguments:
    """One LoRA merged over tasks; no memory."""
    return {"plugins": [SLAO()]}

"""Strategies to compare, by name, all on the same model, budget and memory.

Replay and AIM rehearse the same examples: one :class:`~avalanche_aim.RehearsalMemory` of the same size and seed.
Avalanche's other rehearsal strategies keep a buffer of their own, of as many examples as that memory holds in the end.
Their further settings are Avalanche's or the cited papers' defaults, not tuned here; ``options`` changes them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from typing import Any

from avalanche.training import (
    AGEM,
    DER,
    ER_ACE,
    EWC,
    GEM,
    MAS,
    MIR,
    Cumulative,
    GDumb,
    JointTraining,
    LwF,
    Naive,
    SynapticIntelligence,
)

from ..plugin import AIMMergingPlugin
from ..rehearsal.memory import RehearsalMemory
from .rivals import named

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a strategy may use.

    :param memory: the rehearsed share (float) or count (int) of each past task.
    :param seed: of the memory's choice.
    :param batch_size: training examples of an iteration; rehearsal batches have as many again.
    :param sizes: training examples of each task, in stream order.
    """

    memory: float | int
    seed: int
    batch_size: int
    sizes: tuple[int, ...]

    def rehearsal(self, kind: type[RehearsalMemory] = RehearsalMemory) -> RehearsalMemory:
        """Make a memory.

        :param kind: its class.
        """
        return kind(self.memory, self.seed)

    @property
    def per_task(self) -> int:
        """Examples that the memory holds of a past task: of the largest, for strategies that take one number."""
        return max(map(self.rehearsal().examples_of, self.sizes))

    @property
    def total(self) -> int:
        """Examples that the memory holds while the last task is trained on."""
        return sum(map(self.rehearsal().examples_of, self.sizes[:-1]))

    @property
    def rehearsal_batch(self) -> int:
        """Rehearsed examples of an iteration; no more than there are, or Avalanche's buffers rehearse nothing."""
        return max(1, min(self.batch_size, self.total))


@dataclass(frozen=True)
class Strategy:
    """One strategy: an Avalanche template and how it is called.

    :param template: the class.
    :param arguments: its arguments beyond model, optimizer, criterion, batch sizes, epochs and device, made from the
        budget; further keywords are the options of the comparison.
    :param all_labels: whether it reads the scores of all labels in training.
    :param whole_stream: whether it is trained once, on all tasks together.
    :param whole_batch: whether it reads outputs or the gradient of the whole batch before the backward pass, so that it
        can't be trained in micro-batches.
    :param lora: whether it needs a model with LoRA.
    :param own: one option that is tuned besides the learning rate, and the two values to try beside its default.
    """

    template: type
    arguments: Callable[..., Arguments]
    all_labels: bool = False
    whole_stream: bool = False
    whole_batch: bool = False
    lora: bool = False
    own: tuple[str, tuple[Any, Any]] | None = None


def _aim(budget: Budget, **options: Any) -> Arguments:
    given: Arguments = {"seed": budget.seed, **options}
    if given.get("rehearsal", {}) is not None:
        given.setdefault("memory", budget.rehearsal())
    return {"plugins": [AIMMergingPlugin(**given)]}


def _aim_with_replay(budget: Budget, **options: Any) -> Arguments:
    """The two share one memory."""
    (replay,) = named.replay(budget)["plugins"]
    return {"plugins": [replay, *_aim(budget, memory=replay.storage_policy, **options)["plugins"]]}


def _fixed_interval(budget: Budget, interval: int = 8, **options: Any) -> Arguments:
    return _aim(budget, schedule={"name": "fixed", "n": interval}, **options)


def _random_interval(budget: Budget, mean: int = 8, **options: Any) -> Arguments:
    return _aim(budget, schedule={"name": "random", "mean": mean, "seed": budget.seed}, **options)


def _single_merge(budget: Budget, **options: Any) -> Arguments:
    return _aim(budget, schedule="once", **options)


def _fixed(**settings: Any) -> Callable[..., Arguments]:
    return lambda budget, **options: {**settings, **options}


def _buffer(**settings: Any) -> Callable[..., Arguments]:
    """Arguments of a strategy with a buffer of its own."""
    return lambda budget, **options: {"mem_size": budget.total, **settings, **options}


def _replayed(**settings: Any) -> Callable[..., Arguments]:
    """The same, with rehearsal batches."""
    return lambda budget, **options: _buffer(batch_size_mem=budget.rehearsal_batch, **settings)(budget, **options)


def _patterns(budget: Budget, **options: Any) -> Arguments:
    return {"patterns_per_exp": budget.per_task, **options}


def _agem(budget: Budget, **options: Any) -> Arguments:
    """Avalanche splits the sample evenly over the past tasks, so it must not be smaller than their number."""
    return {"sample_size": max(budget.batch_size, len(budget.sizes) - 1), **_patterns(budget, **options)}


STRATEGIES: dict[str, Strategy] = {
    "naive": Strategy(Naive, _fixed()),
    "replay": Strategy(Naive, named.replay, own=("share", (0.1, 0.25))),
    "ewc": Strategy(EWC, _fixed(ewc_lambda=1.0)),
    "ewc-online": Strategy(EWC, _fixed(ewc_lambda=1.0, mode="online", decay_factor=0.9)),
    "lwf": Strategy(LwF, _fixed(alpha=1.0, temperature=2.0), all_labels=True, whole_batch=True),
    "si": Strategy(SynapticIntelligence, _fixed(si_lambda=1.0)),
    "mas": Strategy(MAS, _fixed(lambda_reg=1.0, alpha=0.5), all_labels=True),
    "agem": Strategy(AGEM, _agem),
    "gem": Strategy(GEM, _patterns),
    "gdumb": Strategy(GDumb, _buffer()),
    "der": Strategy(DER, _replayed(), all_labels=True, whole_batch=True),
    "er-ace": Strategy(ER_ACE, _replayed(), all_labels=True, whole_batch=True),
    "mir": Strategy(MIR, _replayed(subsample=50), whole_batch=True),
    "cumulative": Strategy(Cumulative, _fixed()),
    "joint": Strategy(JointTraining, _fixed(), whole_stream=True),
    "aim": Strategy(Naive, _aim),
    "aim-reference": Strategy(Naive, partial(_aim, preset="reference")),
    "aim-economical": Strategy(Naive, partial(_aim, preset="economical")),
    "aim-replay": Strategy(Naive, _aim_with_replay),
    "fixed-interval": Strategy(Naive, _fixed_interval, own=("interval", (4, 16))),
    "random-interval": Strategy(Naive, _random_interval, own=("mean", (4, 16))),
    "single-merge": Strategy(Naive, _single_merge),
    # ½ (θ before the task + θ after it), no memory, no signals: what merging alone does.
    "averaging": Strategy(Naive, partial(_aim, rehearsal=None, schedule="once", weights={"name": "fixed"})),
}
"""Name → strategy. One of your own is one more entry."""

STRATEGIES |= {
    "mix-replay": Strategy(Naive, named.mix_replay),
    "alternate": Strategy(Naive, named.alternate, own=("interval", (4, 16))),
    "mer": Strategy(Naive, named.mer, own=("epsilon", (0.25, 0.75))),
    "ema-replay": Strategy(Naive, named.ema_replay, own=("decay", (0.98, 0.99))),
    "sure": Strategy(Naive, named.sure, own=("decay", (0.98, 0.99))),
    "forever": Strategy(Naive, named.forever, own=("calibration", (6, 12))),
    "wsc": Strategy(Naive, named.wsc, own=("warmup", (0.25, 0.75))),
    "magmax": Strategy(Naive, named.magmax, own=("scale", (0.75, 1.0))),
    "slao": Strategy(Naive, named.slao, lora=True),
}
"""Methods of the papers around AIMMerging."""


def check_strategies(names: Iterable[str], options: Mapping[str, Arguments] | None = None) -> list[str]:
    """Return the names, each once, if all are known.

    :param names: names of strategies.
    :param options: further arguments by strategy; they are tried out.
    :raises ValueError: for an unknown name or option, or no name at all.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in STRATEGIES]
    if unknown or not names:
        raise ValueError(f"strategies: expected some of {', '.join(STRATEGIES)}; got {', '.join(unknown) or 'none'}")
    for name, chosen in (options or {}).items():
        if name not in names:
            raise ValueError(f"options: expected a strategy of the comparison ({', '.join(names)}), got {name!r}")
        _check_options(name, chosen)
    return names


def _check_options(name: str, options: Arguments) -> None:
    known = _options_of(STRATEGIES[name])
    unknown = [str(option) for option in options if option not in known]
    if unknown:
        there = f"some of {', '.join(known)}" if known else "none"
        raise ValueError(f"options of {name}: expected {there}; got {', '.join(unknown)}")
    try:
        STRATEGIES[name].arguments(_TRIAL, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"options of {name}: {error}") from error


def _options_of(strategy: Strategy) -> list[str]:
    """Name the options that a strategy takes: its own, and those that it hands on to its plugin or template."""
    own = list(signature(strategy.arguments).parameters.values())[1:]
    names = [p.name for p in own if p.kind is not Parameter.VAR_KEYWORD]
    if len(names) < len(own):
        plugins = strategy.arguments(_TRIAL).get("plugins")
        names += signature(type(plugins[-1]) if plugins else strategy.template).parameters
    return [name for name in dict.fromkeys(names) if name not in _SHARED]


_TRIAL = Budget(memory=1, seed=0, batch_size=1, sizes=(1, 1))
_SHARED = (
    *("model", "optimizer", "criterion", "train_mb_size", "train_epochs", "eval_mb_size", "device", "plugins"),
    *("evaluator", "eval_every", "peval_mode", "args", "base_kwargs", "kwargs"),
)
"""What a comparison gives every strategy, or keeps at its default: no options."""

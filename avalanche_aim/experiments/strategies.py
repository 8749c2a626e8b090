"""Strategies to compare, by name, all on the same model, budget and memory.

Replay and AIM rehearse the same examples: one :class:`~avalanche_aim.RehearsalMemory` of the same size and seed.
Avalanche's other rehearsal strategies keep a buffer of their own, of as many examples as that memory holds in the end.
Their further settings are Avalanche's or the cited papers' defaults, not tuned here; ``options`` changes them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
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
from .rivals import named
from .strategy import Arguments, Budget, Strategy

ENTRY_POINTS = "avalanche_aim.strategies"
"""The entry point group in which installed packages offer a :class:`Strategy` by name."""


def _aim(budget: Budget, **options: Any) -> Arguments:
    given: Arguments = {"seed": budget.seed, **options}
    if given.get("rehearsal", {}) is not None:
        given.setdefault("memory", budget.rehearsal())
    return {"plugins": [AIMMergingPlugin(**given)]}


def _aim_with_replay(budget: Budget, **options: Any) -> Arguments:
    """The two share one memory."""
    (replay,) = named.replay(budget)["plugins"]
    (plugin,) = _aim(budget, memory=replay.storage_policy, **options)["plugins"]
    if getattr(plugin.rehearsal, "hold_out", 0):
        raise ValueError("expected a rehearsal without rows that are held out, since replay would train on them; "
                         "use aim-held-out")  # fmt: skip
    return {"plugins": [replay, plugin]}


def _fixed_interval(budget: Budget, interval: int = 8, **options: Any) -> Arguments:
    return _aim(budget, **{"preset": "paper", "schedule": {"name": "fixed", "n": interval}, **options})


def _random_interval(budget: Budget, mean: int = 8, **options: Any) -> Arguments:
    schedule = {"name": "random", "mean": mean, "seed": budget.seed}
    return _aim(budget, **{"preset": "paper", "schedule": schedule, **options})


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


_AIM = "AIMMerging, arXiv 2509.17348"
_EWC = "Kirkpatrick et al. 2017, arXiv 1612.00796"

STRATEGIES: dict[str, Strategy] = {
    "naive": Strategy(Naive, _fixed(), source="plain training, task after task"),
    "replay": Strategy(Naive, named.replay, own=("share", (0.1, 0.25)), source="Avalanche's ReplayPlugin"),
    "ewc": Strategy(EWC, _fixed(ewc_lambda=1.0), source=_EWC),
    "ewc-online": Strategy(EWC, _fixed(ewc_lambda=1.0, mode="online", decay_factor=0.9),
                           source="Schwarz et al. 2018, arXiv 1805.06370"),
    "lwf": Strategy(LwF, _fixed(alpha=1.0, temperature=2.0), all_labels=True, whole_batch=True,
                    source="Li and Hoiem 2016, arXiv 1606.09282"),
    "si": Strategy(SynapticIntelligence, _fixed(si_lambda=1.0), source="Zenke et al. 2017, arXiv 1703.04200"),
    "mas": Strategy(MAS, _fixed(lambda_reg=1.0, alpha=0.5), all_labels=True,
                    source="Aljundi et al. 2018, arXiv 1711.09601"),
    "agem": Strategy(AGEM, _agem, source="Chaudhry et al. 2019, arXiv 1812.00420"),
    "gem": Strategy(GEM, _patterns, source="Lopez-Paz and Ranzato 2017, arXiv 1706.08840"),
    "gdumb": Strategy(GDumb, _buffer(), source="Prabhu et al., ECCV 2020"),
    "der": Strategy(DER, _replayed(), all_labels=True, whole_batch=True,
                    source="Buzzega et al. 2020, arXiv 2004.07211"),
    "er-ace": Strategy(ER_ACE, _replayed(), all_labels=True, whole_batch=True,
                       source="Caccia et al. 2022, arXiv 2104.05025"),
    "mir": Strategy(MIR, _replayed(subsample=50), whole_batch=True, source="Aljundi et al. 2019, arXiv 1908.04742"),
    "cumulative": Strategy(Cumulative, _fixed(), source="trains on all data so far, task after task"),
    "joint": Strategy(JointTraining, _fixed(), whole_stream=True, source="trains once on all tasks: an upper bound"),
    "aim": Strategy(Naive, _aim, source=_AIM),
    "aim-reference": Strategy(Naive, partial(_aim, preset="reference"), source=f"{_AIM}, the published code"),
    "aim-paper": Strategy(Naive, partial(_aim, preset="paper"), source=f"{_AIM}, the paper's text"),
    "aim-settled": Strategy(Naive, partial(_aim, preset="settled"),
                            source=f"{_AIM}, no forgetting signal, a last merge in each task"),
    "aim-economical": Strategy(Naive, partial(_aim, preset="economical"), source=f"{_AIM}, with fewer memory passes"),
    "aim-held-out": Strategy(Naive, partial(_aim, preset="held-out"), source=f"ours, on {_AIM}"),
    "aim-angle": Strategy(Naive, partial(_aim, preset="angle"), source=f"ours, on {_AIM}"),
    "aim-model-time": Strategy(Naive, partial(_aim, preset="model-time"),
                               source=f"ours: {_AIM}, on the clock of arXiv 2601.03938"),
    "aim-thirds": Strategy(Naive, partial(_aim, preset="thirds"), source=f"ours, on {_AIM}"),
    "aim-lean": Strategy(Naive, partial(_aim, preset="lean"), source=f"ours, on {_AIM}, with fewer memory passes"),
    "aim-straight": Strategy(Naive, partial(_aim, preset="straight"), source=f"ours, on {_AIM}, set by its own path"),
    "aim-self-written": Strategy(Naive, named.self_written, source="ours: rehearsal of the model's own texts"),
    "aim-replay": Strategy(Naive, _aim_with_replay, source=f"{_AIM}, while replay mixes memory in"),
    "fixed-interval": Strategy(Naive, _fixed_interval, own=("interval", (4, 16)),
                               source=f"control: {_AIM}, merges at a fixed distance"),
    "random-interval": Strategy(Naive, _random_interval, own=("mean", (4, 16)),
                                source=f"control: {_AIM}, merges at random distances"),
    "single-merge": Strategy(Naive, partial(_aim, preset="paper", schedule="once"),
                             source=f"control: {_AIM}, one merge at the end of a task"),
    "averaging": Strategy(Naive, partial(_aim, rehearsal=None, schedule="once", weights={"name": "fixed"}),
                          source="control: ½ (θ before a task + θ after it), no memory, no signals"),
    "mix-replay": Strategy(Naive, named.mix_replay, source="public code of the group that wrote FOREVER"),
    "alternate": Strategy(Naive, named.alternate, own=("interval", (4, 16)),
                          source="control: iterations on the memory, nothing undone"),
    "mer": Strategy(Naive, named.mer, own=("epsilon", (0.25, 0.75)), source="arXiv 2508.01908, from a note"),
    "ema-replay": Strategy(Naive, named.ema_replay, own=("decay", (0.98, 0.99)),
                           source="SuRe without its memory, arXiv 2511.22367"),
    "sure": Strategy(Naive, named.sure, own=("decay", (0.98, 0.99)), source="SuRe, arXiv 2511.22367"),
    "forever": Strategy(Naive, named.forever, own=("calibration", (6, 12)), source="arXiv 2601.03938, from a note"),
    "wsc": Strategy(Naive, named.wsc, own=("warmup", (0.25, 0.75)), source="Cho et al., arXiv 2502.07274"),
    "magmax": Strategy(Naive, named.magmax, own=("scale", (0.75, 1.0)), source="arXiv 2407.06322"),
    "slao": Strategy(Naive, named.slao, lora=True, source="arXiv 2512.23017, from a note"),
}  # fmt: skip
"""Name → strategy. One of your own is one more entry; those of installed packages are found by their entry point."""


@cache
def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def strategy_names() -> list[str]:
    """Return the names of all strategies, those of installed packages last."""
    return list(dict.fromkeys((*STRATEGIES, *_installed())))


def strategy(name: str) -> Strategy:
    """Return a strategy by name.

    :param name: a key of :data:`STRATEGIES`, or an entry point of an installed package.
    :raises ValueError: for an unknown name, or an entry point that holds no strategy.
    """
    if name not in STRATEGIES:
        point = _installed().get(name)
        if point is None:
            raise ValueError(f"strategies: expected some of {', '.join(strategy_names())}; got {name}")
        try:
            loaded = point.load()
        except Exception as error:  # whatever that package does
            raise ValueError(f"strategies: {name} of {point.value} can't be loaded: {error!r:.300}") from error
        if not isinstance(loaded, Strategy):
            raise ValueError(f"strategies: expected {point.value} to be a Strategy, got {loaded!r:.80}")
        STRATEGIES[name] = loaded
    return STRATEGIES[name]


def check_strategies(names: Sequence[str], options: Mapping[str, Any] | None = None) -> None:
    """Refuse unknown strategies and options; options are tried out.

    :raises ValueError: for an unknown strategy, or options that are unknown, refused, or of another strategy.
    """
    if unknown := [name for name in names if name not in strategy_names()]:
        there = ", ".join(strategy_names())
        raise ValueError(f"strategies: expected some of {there}; got {', '.join(unknown):.200}")
    options = options or {}
    if not _is_plain(options):
        raise ValueError(f"options: expected texts, finite numbers, true, false, none, and lists and mappings of these "
                         f"by text, got {options!r:.200}")  # fmt: skip
    for name, chosen in options.items():
        if name not in names:
            raise ValueError(f"options: expected a strategy of the comparison ({', '.join(names)}), got {name!r:.80}")
        _check_options(name, chosen)


def _is_plain(value: Any) -> bool:
    """Whether JSON holds a value as it is, so that a finished run can be kept, and found again by its settings."""
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _check_options(name: str, options: Arguments) -> None:
    known = _options_of(strategy(name))
    unknown = [str(option) for option in options if option not in known]
    if unknown:
        there = f"some of {', '.join(known)}" if known else "none"
        old = "; CHANGELOG.md says what became of those of avalanche-aim 0.1.0" if OLD & set(unknown) else ""
        raise ValueError(f"options of {name}: expected {there}; got {', '.join(unknown)}{old}")
    try:
        strategy(name).arguments(_TRIAL, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"options of {name}: {error}") from error


def _options_of(chosen: Strategy) -> list[str]:
    """Name the options that a strategy takes: its own, and those that it hands on to its plugin or template."""
    own = list(signature(chosen.arguments).parameters.values())[1:]
    names = [p.name for p in own if p.kind is not Parameter.VAR_KEYWORD]
    if len(names) < len(own):
        plugins = chosen.arguments(_TRIAL).get("plugins")
        names += signature(type(plugins[-1]) if plugins else chosen.template).parameters
    return [name for name in dict.fromkeys(names) if name not in _SHARED]


_TRIAL = Budget(memory=1, seed=0, batch_size=1, sizes=(1, 1))
OLD = {
    *("window", "threshold_factor", "max_grad_norm", "monitor_mode", "monitor_every", "monitor_batch_size"),
    *("relax_below", "memory_optimizer", "memory_batch_size", "memory_lr_factor"),
}
"""Options of AIM in version 0.1.0."""
_SHARED = (
    *("model", "optimizer", "criterion", "train_mb_size", "train_epochs", "eval_mb_size", "device", "plugins"),
    *("evaluator", "eval_every", "peval_mode", "args", "base_kwargs", "kwargs"),
)
"""What a comparison gives every strategy, or keeps at its default: no options."""

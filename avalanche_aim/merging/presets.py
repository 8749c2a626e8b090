"""Named choices of the method's parts: the paper's text, the published code, and what we would use instead.

See docs/method.md for where they differ, and docs/cost.md for what they cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from typing import Any

from .controller import MergeController
from .diagnosis import Diagnosis
from .rehearsal_plan import RehearsalPlan
from .rules import RULES
from .schedules import SCHEDULES, AdaptiveInterval, ModelTime, ReferenceInterval, Schedule, SharesOfTask
from .signals import FORGETTING, Activations, ForgettingSignal, GradientAngle, LearningSignal, NoForgetting
from .slow_weights import SLOW_WEIGHTS, SlowWeights
from .weights import WEIGHTINGS, FixedWeights, ReferenceWeights, SignalWeights, StraightWeights

KINDS: dict[str, Mapping[str, Callable[..., Any]]] = {
    "schedule": SCHEDULES,
    "forgetting": FORGETTING,
    "weights": WEIGHTINGS,
    "rule": RULES,
    "slow": SLOW_WEIGHTS,
}
"""Part → name → what makes it: the kinds that ``{"name": …}`` can name."""
EXPECTED: dict[str, tuple[Any, str]] = {
    "schedule": (Schedule, "a Schedule such as AdaptiveInterval()"),
    "learning": (LearningSignal, "a LearningSignal"),
    "forgetting": (Activations, "a forgetting signal such as ForgettingSignal()"),
    "weights": (Callable, "a function of the merge such as FixedWeights(0.5, 0.5)"),
    "rule": (Callable, "a function of task vectors such as interpolate"),
    "slow": (SlowWeights, "slow weights such as ExponentialAverage()"),
    "diagnosis": (Diagnosis, "a Diagnosis"),
}
"""Part → what an object in its place must be, and an example."""
UNCHANGED: Mapping[str, Any] = {}
"""No change to the preset's own part."""


@dataclass(frozen=True)
class Part:
    """One part of a preset: what makes it, and with which settings."""

    kind: Callable[..., Any]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """One choice of all parts; of the rehearsal the settings of a :class:`~avalanche_aim.rehearsal.Rehearsal`."""

    schedule: Part
    weights: Part
    learning: Part
    forgetting: Part
    rehearsal: Mapping[str, Any]
    rule: Part = Part(RULES["interpolate"])
    slow: None = None
    diagnosis: Part = Part(Diagnosis)

    def make(self, part: str, given: Any = UNCHANGED, kinds: Mapping[str, Any] | None = None) -> Any:
        """Make a part.

        :param given: a dict of changes to the preset's own part, ``{"name": …}`` or a name for one of another kind, or
            the part itself.
        :param kinds: what makes the part, by name, where the preset knows its settings alone; the first unless named.
        :raises ValueError: for an unknown name or setting.
        :raises TypeError: for an object that is no such part.
        """
        if given is None and part in ("rehearsal", "slow"):
            return None
        own = getattr(self, part)
        if kinds is not None:
            settings = dict(own)
            own = Part(_kind_named(part, settings.pop("name", next(iter(kinds))), kinds), settings)
        if not isinstance(given, str | Mapping):
            first = next(iter((kinds or {}).values()), None)
            expected, example = (first, f"{first.__name__}()") if first is not None else EXPECTED[part]
            if not (callable(given) if expected is Callable else isinstance(given, expected)):
                raise TypeError(f"{part}: expected {example}, a dict of settings or a name, got {given!r:.200}")
            return given
        changes = {"name": given} if isinstance(given, str) else dict(given)
        if "name" in changes:
            own = Part(_kind_named(part, changes.pop("name"), kinds or KINDS.get(part, {})))
        if own is None:
            if changes:
                raise ValueError(f"{part}: expected a name of {', '.join(KINDS[part])} beside {sorted(changes)}")
            return None
        return _make(part, own.kind, {**own.settings, **changes})

    def controller(self, **given: Any) -> MergeController:
        """Make a merge controller, to replay recorded runs without a model.

        :param given: for each part what :meth:`make` takes; of the rehearsal its ratio and its monitoring count.
        :raises ValueError: for an unknown name or setting.
        """
        known = signature(RehearsalPlan).parameters
        rehearsal = {**self.rehearsal, **given.pop("rehearsal", {})}
        plan = RehearsalPlan(**{name: value for name, value in rehearsal.items() if name in known})
        names = ("schedule", "weights", "learning", "forgetting")
        parts = {name: self.make(name, given.pop(name, UNCHANGED)) for name in names}
        if given:
            raise ValueError(f"expected parts of a controller, got {sorted(given)}")
        return MergeController(**parts, plan=plan)


# L_w and the monitoring mode are ours; so is the optimizer state, chosen on dev data (docs/results.md).
_PAPER = Preset(
    schedule=Part(AdaptiveInterval),
    weights=Part(SignalWeights),
    learning=Part(LearningSignal, {"window": 5}),
    forgetting=Part(ForgettingSignal, {"factor": 2.0}),
    rehearsal={"ratio": 1.0, "optimizer": "own", "monitor": "eval"},
)

# The paper's losses of rehearsed texts say nothing of forgetting, and what is left unmerged at a task's end
# overwrites the past (docs/results.md).
_SETTLED = replace(
    _PAPER,
    schedule=Part(AdaptiveInterval, {"merges_at_end": True}),
    forgetting=Part(NoForgetting),
)

# Few, long merges: three of a task were best of 1, 2, 3, 5, 10 and 40 (docs/beyond.md).
_THIRDS = replace(_SETTLED, schedule=Part(SharesOfTask, {"merges": 3}), weights=Part(FixedWeights))

PRESETS: dict[str, Preset] = {
    "paper": _PAPER,
    # A fifth of the memory iterations, four times as long: shorter ones leave merges to undo training, and smaller
    # batches did worse for the same number of examples.
    "economical": replace(
        _PAPER,
        rehearsal={
            **_PAPER.rehearsal,
            "ratio": 0.2,
            "lr_factor": 4.0,
            "monitor_batch_size": 0.25,
            "monitor_every": 4,
            "relax_below": 0.5,
        },
    ),
    "settled": _SETTLED,
    "reference": Preset(
        schedule=Part(ReferenceInterval),
        weights=Part(ReferenceWeights),
        learning=Part(LearningSignal, {"window": None, "divided_by": "planned"}),
        forgetting=Part(ForgettingSignal, {"factor": 2.0, "extra_losses": 1}),
        rehearsal={"per": "planned", "optimizer": "shared", "max_grad_norm": 1.0, "monitor": "train"},
    ),
    "held-out": replace(
        _SETTLED,
        forgetting=Part(ForgettingSignal, {"factor": 2.0, "floor": 0.1}),
        rehearsal={"name": "held-out", "hold_out": 0.25},
    ),
    "angle": replace(_SETTLED, forgetting=Part(GradientAngle)),
    "model-time": replace(_SETTLED, schedule=Part(ModelTime, {"merges_at_end": True})),
    "thirds": _THIRDS,
    "lean": replace(_THIRDS, rehearsal={**_SETTLED.rehearsal, "ratio": 0.3}),
    "straight": replace(
        _THIRDS, weights=Part(StraightWeights), rehearsal={**_SETTLED.rehearsal, "ratio": 0.3, "per": "straight"}
    ),
}


def preset(name: str) -> Preset:
    """Return a preset of :data:`PRESETS` by name; another name is a ValueError."""
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {sorted(PRESETS)}, got {name!r}")
    return PRESETS[name]


def _kind_named(part: str, name: Any, kinds: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    if name not in kinds:
        there = f"one of {', '.join(kinds)}" if kinds else "settings or an object, since it has one kind only"
        raise ValueError(f"{part}: expected {there}, got the name {name!r}")
    return kinds[name]


def _make(part: str, kind: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    known = _settings_of(kind)
    if unknown := sorted(settings.keys() - set(known)):
        there = f"some of {', '.join(known)}" if known else "no setting"
        raise ValueError(f"{part}: expected {there}, got {', '.join(map(str, unknown))}")
    try:
        return kind(**settings)
    except TypeError as error:
        raise ValueError(f"{part}: {error}") from error


def _settings_of(kind: Any) -> list[str]:
    """Name the settings of a kind, and those that it hands on to its base."""
    names: list[str] = []
    for owner in getattr(kind, "__mro__", (kind,)):
        parameters = signature(owner).parameters.values()
        names += [p.name for p in parameters if p.kind is not Parameter.VAR_KEYWORD]
        if all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
            break
    return list(dict.fromkeys(names))

"""What the method is made of, whatever trains the model: an Avalanche strategy, or a Trainer of Transformers."""

from collections.abc import Mapping
from typing import Any

from ..merging import UNCHANGED, IterativeMerging, MergeController, Recorder, RehearsalPlan
from ..merging import preset as preset_named
from . import REHEARSALS, Rehearsal
from .memory import RehearsalMemory


class Method:
    """The parts of AIMMerging, chosen once.

    A preset is one choice of the parts below. Each part is replaced whole by an object, or by ``{"name": …}`` with the
    settings of another kind; any other dict changes settings of the preset's own part:
    ``AIMMergingPlugin("paper", schedule={"initial": 4}, rehearsal={"optimizer": "fresh"})``. docs/extending.md shows
    parts of one's own.

    :param preset: "lean" (three merges in each task, after ⅓, ⅔ and all of it, and few passes over the memory: the
        default, docs/beyond.md says why), "paper" (the paper's text), "reference" (the published code's decisions),
        "settled" (the paper's method without its forgetting signal, and with a last merge in each task), or another of
        :data:`~avalanche_aim.merging.PRESETS`. docs/method.md and docs/cost.md list their parts.
    :param memory: what is rehearsed: a fraction of each task (float in [0, 1]; 0.02 by default), a count of
        examples of each (int), or a :class:`~avalanche_aim.RehearsalMemory`.
    :param schedule: when to merge, a :class:`~avalanche_aim.merging.Schedule`.
    :param learning: the learning signal.
    :param forgetting: the forgetting signal.
    :param weights: chooses (α₁, α₂), a :class:`~avalanche_aim.merging.Weighting`.
    :param rule: how task vectors become weights, a :class:`~avalanche_aim.merging.Rule`.
    :param rehearsal: how the memory is used, a :class:`~avalanche_aim.rehearsal.Rehearsal`; None to merge without one.
    :param slow: slow weights that are only evaluated, :class:`~avalanche_aim.merging.SlowWeights`; None for none.
    :param diagnosis: recognises oscillation and stagnation, a :class:`~avalanche_aim.merging.Diagnosis`; it never
        changes training.
    :param seed: of the memory's choice, its batches and the dropout in passes over it; the global random streams
        are never touched.
    :raises ValueError: for a setting that is unknown or out of range; the message says what was expected.
    :raises TypeError: for an object that is no such part.
    """

    def __init__(
        self,
        preset: str = "lean",
        *,
        memory: float | int | RehearsalMemory | None = None,
        schedule: Any = UNCHANGED,
        learning: Any = UNCHANGED,
        forgetting: Any = UNCHANGED,
        weights: Any = UNCHANGED,
        rule: Any = UNCHANGED,
        rehearsal: Any = UNCHANGED,
        slow: Any = None,
        diagnosis: Any = UNCHANGED,
        seed: int = 0,
    ) -> None:
        super().__init__()
        make = preset_named(preset).make
        self.rehearsal: Rehearsal | None = make("rehearsal", rehearsal, REHEARSALS)
        self.memory = self._prepare(memory, seed)
        self.controller = MergeController(
            make("schedule", schedule),
            make("weights", weights),
            make("learning", learning),
            make("forgetting", forgetting),
            RehearsalPlan(0.0) if self.rehearsal is None else self.rehearsal.plan,
        )
        if isinstance(rehearsal, Mapping) and not self.controller.forgetting.monitors:
            _refuse_monitoring(rehearsal, self.controller.forgetting)
        self.recorder = Recorder(make("diagnosis", diagnosis))
        self.history = self.recorder.history
        self.merging = IterativeMerging(
            self.controller, make("rule", rule), self.rehearsal, make("slow", slow), self.recorder
        )

    def _prepare(self, memory: float | int | RehearsalMemory | None, seed: int) -> RehearsalMemory | None:
        """Give the rehearsal its memory and its random streams."""
        if self.rehearsal is None or self.rehearsal.memory is not None:
            if memory is not None:
                there = "no rehearsal" if self.rehearsal is None else "a rehearsal with a memory of its own"
                raise ValueError(f"memory: expected none beside {there}, got {memory!r}")
            if self.rehearsal is None:
                return None
        if not isinstance(memory, RehearsalMemory):
            memory = RehearsalMemory(0.02 if memory is None else memory, seed)
        self.rehearsal.prepare(memory, seed)
        own: RehearsalMemory = self.rehearsal.memory
        return own


def _refuse_monitoring(rehearsal: Mapping[str, Any], forgetting: Any) -> None:
    ignored = sorted(name for name in rehearsal if name.startswith("monitor") or name == "relax_below")
    if ignored:
        raise ValueError(
            f"rehearsal: {', '.join(ignored)} would do nothing, since {type(forgetting).__name__} takes no historical "
            'loss; give forgetting="loss" too, or preset="paper"'
        )

"""AIMMerging as an Avalanche plugin: the hooks, and nothing else."""

from typing import Any

from avalanche.training import JointTraining
from avalanche.training.plugins import SupervisedPlugin

from .distributed import DataParallel
from .merging import UNCHANGED, IterativeMerging, MergeController, Recorder, RehearsalPlan
from .merging import preset as preset_named
from .rehearsal import Rehearsal
from .rehearsal.memory import RehearsalMemory
from .rehearsal.task import TaskProgress
from .training.engine import StrategyEngine
from .training.owner import Owner


class AIMMergingPlugin(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Continual learning by adaptive iterative model merging (AIMMerging, arXiv 2509.17348).

    While the model trains on a new experience, the plugin watches the learning signal and the loss on a small
    rehearsal memory, decides when to merge, and fuses what was just learned with what a short fine-tuning on the
    memory brings back. The first experience has no memory and trains undisturbed. It works with any SGD template
    of Avalanche, any model with trainable parameters, and beside other plugins; those that keep the weights after an
    experience (EWC, LwF) see the merged ones if they are listed after it::

        strategy = Naive(model=model, optimizer=optimizer, criterion=criterion, plugins=[AIMMergingPlugin()])

    ``history`` holds every merge and every monitored iteration; the signals, the interval, the weights and the
    merges are also published as Avalanche metric values under ``AIM/``. Oscillation and stagnation, the two ways in
    which the method fails, are named in a warning, once an experience. Where training makes weights non-finite, they
    go back to θ_prev, with a warning; the fourth time in an experience, or where there is no θ_prev, it ends with a
    ``FloatingPointError``.

    A preset is one choice of the parts below. Each part is replaced whole by an object, or by ``{"name": …}`` with the
    settings of another kind; any other dict changes settings of the preset's own part:
    ``AIMMergingPlugin(schedule={"initial": 4}, rehearsal={"optimizer": "fresh"})``. docs/extending.md shows parts of
    one's own.

    :param preset: "paper" (the paper's text, the default), "reference" (the published code's decisions) or
        "economical" (the paper's method with a fraction of its passes over the memory). docs/method.md and docs/cost.md
        list their parts.
    :param memory: what is rehearsed: a fraction of each experience (float in [0, 1]; 0.02 by default), a count of
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
        preset: str = "paper",
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
        self.rehearsal: Rehearsal | None = make("rehearsal", rehearsal, Rehearsal)
        self.memory = self._prepare(memory, seed)
        self.controller = MergeController(
            make("schedule", schedule),
            make("weights", weights),
            make("learning", learning),
            make("forgetting", forgetting),
            RehearsalPlan(0.0) if self.rehearsal is None else self.rehearsal.plan,
        )
        self.recorder = Recorder(make("diagnosis", diagnosis))
        self.history = self.recorder.history
        self.merging = IterativeMerging(
            self.controller, make("rule", rule), self.rehearsal, make("slow", slow), self.recorder
        )
        self._progress = TaskProgress()
        self._owner = Owner()

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take θ_prev and start signals and intervals anew, where a task begins and there is something to rehearse."""
        getattr(strategy.model, "check_criterion", lambda criterion: None)(strategy._criterion)
        DataParallel.check(strategy)
        self._owner.check(strategy, self)
        engine, experience = StrategyEngine(strategy, self), strategy.experience
        if isinstance(strategy, JointTraining):
            self.recorder.warn_once("JointTraining trains on all tasks at once; no task follows another, and nothing "
                                    "will merge", "joint")  # fmt: skip
        if isinstance(self.memory, RehearsalMemory):
            self.memory.pre_adapt(strategy, experience)
            if self.memory.knows(experience):
                self.recorder.warn_once(f"experience {experience.current_experience} is trained on again; its "
                                        "examples are in the memory already, and not added again", "again")  # fmt: skip
        if self._progress.begin(experience):
            self.merging.start(engine, self._progress.number)
        else:
            self.merging.continue_task(engine)

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Monitor the historical loss, and merge when it is time."""
        self.merging.after_iteration(StrategyEngine(strategy, self))

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Merge once more where a task ends and the schedule says so, then remember a share of it."""
        if self._progress.ended(strategy.experience):
            self.merging.end(StrategyEngine(strategy, self))
        if self.memory is not None:
            self.memory.post_adapt(strategy, strategy.experience)

    def before_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the slow weights in, where there are any."""
        self.merging.evaluate_slow(True)

    def after_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the training's weights back."""
        self.merging.evaluate_slow(False)

    def state_dict(self) -> dict[str, Any]:
        """Return all that later decisions depend on but the memory, which has its own state and may be shared."""
        return {**self.merging.state_dict(), "task": [self._progress.number, self._progress.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        self.merging.load_state_dict(state)
        self._progress.number, self._progress.parts = state["task"]

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

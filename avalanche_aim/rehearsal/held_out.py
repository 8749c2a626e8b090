"""A rehearsal that watches rows which it does not rehearse."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from torch import Tensor

from ..merging import Engine
from .rehearsal import Rehearsal

Turn = Literal["task", "merge", "never"]


class HeldOutRehearsal(Rehearsal):
    """Takes the historical loss of memory rows that are held out, and rotates them, so that all are used in time.

    The loss of rehearsed rows falls because they become known by heart; that of others does not. At each turn the next
    ``hold_out`` of each experience's rows is held out, and those held out before are rehearsed again. The passes are as
    many as without; docs/beyond.md has what such a loss tells.

    :param hold_out: the share of each experience's rows that is held out at a time, rounded.
    :param turn: when the rows change: with every "task", every "merge", or "never".
    :param settings: of :class:`Rehearsal`.
    :raises ValueError: for a share outside (0, 1), or another turn; in training, if the share leaves nothing to
        rehearse or nothing to hold out.
    """

    def __init__(self, hold_out: float = 0.25, turn: Turn = "task", **settings: Any) -> None:
        super().__init__(hold_out=hold_out, **settings)
        if not hold_out:
            raise ValueError("hold_out: expected a share of the memory in (0, 1), got 0; use Rehearsal")
        if turn not in get_args(Turn):
            raise ValueError(f"turn: expected one of {get_args(Turn)}, got {turn!r:.80}")
        self.turn = turn
        self._turns = 0

    def start(self, weights: Sequence[Tensor]) -> None:
        self._turns += self.turn == "task"
        rehearsed, held_out = map(len, self.places())
        if not rehearsed or not held_out:
            nothing = "nothing to rehearse" if held_out else "nothing to hold out"
            raise ValueError(
                f"hold_out: {self.hold_out} of a memory of {len(self.memory)} rows leaves {nothing}; keep more of each "
                f"task (memory=), or hold out {'less' if held_out else 'more'}"
            )

    def historical_loss(self, engine: Engine) -> float:
        return self.held_out_loss(engine)

    def fine_tune(self, engine: Engine, weights: list[Tensor], iterations: int) -> list[float]:
        losses = super().fine_tune(engine, weights, iterations)
        self._turns += self.turn == "merge"
        return losses

    def held_places(self, rows: int, count: int) -> Iterable[int]:
        step = rows // max(1, count)  # spread over the rows
        return ((self._turns + i * step) % rows for i in range(count))

    def state_dict(self, weights: list[Tensor]) -> dict[str, Any]:
        return {**super().state_dict(weights), "turns": self._turns}

    def load_state_dict(self, state: dict[str, Any], weights: list[Tensor]) -> None:
        self._turns = state["turns"]
        super().load_state_dict({name: value for name, value in state.items() if name != "turns"}, weights)

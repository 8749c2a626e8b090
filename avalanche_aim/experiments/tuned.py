"""What tuning has chosen: a file that a comparison can use, each strategy at its own learning rate and setting."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..storage.files import digest, write_atomically
from ..storage.records import changes, record

FORMAT = 1
FREE = (
    *("learning_rate", "tuned", "stream", "device", "precision", "eval_per_task", "eval_batch_size"),
    *("micro_batch_size", "gradient_checkpointing", "compile", "general", "general_every", "general_limit"),
)
"""Settings in which a comparison may differ from the tuning that it uses."""


@dataclass(frozen=True)
class Trial:
    """One setting of a strategy that was tried.

    :param op: the mean OP over its runs; None where one of them failed.
    """

    learning_rate: float
    options: dict[str, Any]
    op: float | None
    runs: int


@dataclass(frozen=True)
class Choice:
    """What was chosen for a strategy: the trial of highest OP, the lowest learning rate among equals.

    :param at_edge: whether the learning rate was still at the edge of its grid.
    """

    learning_rate: float
    options: dict[str, Any]
    at_edge: bool
    trials: list[Trial] = field(default_factory=list)


@dataclass(frozen=True)
class Tuned:
    """The choices of a tuning.

    :param asked: the settings that it shared with the comparisons it is for.
    :param orders: over which OP was averaged.
    """

    asked: Mapping[str, Any]
    orders: Sequence[str]
    seeds: Sequence[int]
    choices: Mapping[str, Choice]

    @property
    def key(self) -> str:
        """What stands for the choices in the settings of a run."""
        return digest({name: [c.learning_rate, c.options] for name, c in self.choices.items()})[:16]

    def write(self, path: Path) -> None:
        content = {"format": FORMAT, "asked": dict(self.asked), "orders": list(self.orders), "seeds": list(self.seeds),
                   "strategies": {name: asdict(choice) for name, choice in self.choices.items()}}  # fmt: skip
        write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> "Tuned":
        """Read a file.

        :raises ValueError: if it is none that tuning has made.
        :raises OSError: if it can't be read.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"expected format {FORMAT}, got {content['format']!r:.80}")
            choices = {name: _choice(name, choice) for name, choice in content["strategies"].items()}
            return cls(dict(content["asked"]), list(content["orders"]), list(content["seeds"]), choices)
        except OSError as error:
            raise OSError(f"tuned: expected a file that tune has made, got {path} ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"tuned: expected a file that tune has made, got {path} ({type(error).__name__}: {error})"
            ) from error

    def check(self, asked: Mapping[str, Any], strategies: Sequence[str], defaults: Mapping[str, Any]) -> None:
        """Refuse a comparison that these choices were not made for.

        :param defaults: of settings, some of which may be younger than the choices.
        :raises ValueError: for another setting, or a strategy that was not tuned; the message names them.
        """
        assumed = {name: defaults[name] for name in asked if name in defaults}
        now, then = _comparable(asked), _comparable({**assumed, **self.asked})
        if other := changes(then, now):
            raise ValueError(f"tuned: the choices were made for other settings ({'; '.join(other)}); tune "
                             "again, or compare on what was tuned")  # fmt: skip
        if unknown := [name for name in strategies if name not in self.choices]:
            raise ValueError(f"tuned: expected strategies that were tuned ({', '.join(self.choices)}), got "
                             f"{', '.join(unknown)}; tune them too, or leave them out")  # fmt: skip


def _choice(name: str, data: Any) -> Choice:
    choice = record(Choice, {**data, "trials": []}, f"the choice of {name}", ("learning_rate", "at_edge"))
    if not choice.learning_rate > 0 or not isinstance(choice.options, dict):
        raise ValueError(f"{name}: expected a positive learning rate and options, got {data!r:.200}")
    choice.trials.extend(record(Trial, trial, "a trial", ("learning_rate", "op", "runs")) for trial in data["trials"])
    return choice


def _comparable(asked: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: value for name, value in asked.items() if name not in FREE}
    data = same.get("data")
    if isinstance(data, str) and Path(data).is_dir():
        same["data"] = str(Path(data).resolve())
    return json.loads(json.dumps(same))

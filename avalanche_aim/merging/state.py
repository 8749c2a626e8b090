"""What every stateful part of the method shares: its state as plain data."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, ClassVar


def check_state(owner: object, state: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse, with a ValueError, a state that does not hold exactly these names: another kind of object wrote it."""
    if set(state) != set(names):
        raise ValueError(
            f"{type(owner).__name__} expected the state {sorted(names)}, got {sorted(state)}; load it into the same "
            "kind of object that wrote it"
        )


class Stateful:
    """A part whose state is a handful of attributes.

    A subclass names them in ``STATE``; they hold plain data, tensors, or parts with a state of their own.
    """

    STATE: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, safe to keep while this part goes on."""
        values = ((name, getattr(self, name)) for name in self.STATE)
        return {name: value.state_dict() if _has_state(value) else deepcopy(value) for name, value in values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; a ValueError if names are missing or unknown."""
        check_state(self, state, self.STATE)
        for name, value in state.items():
            if _has_state(part := getattr(self, name)):
                part.load_state_dict(value)
            else:
                setattr(self, name, deepcopy(value))


def _has_state(part: Any) -> bool:
    return hasattr(part, "load_state_dict")

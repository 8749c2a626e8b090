"""Side passes that leave no trace: random streams, modes and buffers are put back as they were.

A plugin that only looks must leave training bit-for-bit as it was without it.
"""

import functools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.random.mtrand import get_bit_generator, set_bit_generator
from torch import Tensor, nn


def stream_seed(seed: int, name: str) -> int:
    """Return the seed of a side stream: another for each name, and unrelated to those of neighbouring seeds.

    It is a child of NumPy's ``SeedSequence``, as ``spawn`` makes them, with a key of its own for each name.

    :raises ValueError: for a seed that is not a whole number of 0 or more.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: expected a whole number of 0 or more, got {seed!r}")
    child = np.random.SeedSequence(seed, spawn_key=tuple(name.encode()))
    return int(child.generate_state(1, np.uint64)[0])


class RandomStream:
    """Random streams of one's own for torch, NumPy and Python, in place of the global ones.

    Inside ``with stream.on(device):`` every library draws from this stream; the global streams stay where they
    were, and the next ``with`` goes on where this one ended.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._numpy = np.random.MT19937()
        self._state: dict[str, Any] | None = None
        """Where the others are; None before the first use."""

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """Draw from this stream; the generator of this accelerator is swapped as well as the CPU's."""
        outer, outer_numpy = random_state(device), get_bit_generator()
        set_bit_generator(self._numpy)  # reading and writing its numbers would take a quarter of a side pass
        try:
            if self._state is None:
                # Not torch.manual_seed, which would reseed every accelerator as well.
                torch.default_generator.manual_seed(self.seed)
                if device.type == "cuda":
                    with torch.cuda.device(device):
                        torch.cuda.manual_seed(self.seed)
                np.random.seed(self.seed % 2**32)
                random.seed(self.seed)
            else:
                _set_all_but_numpy(self._state, device)
            yield
        finally:
            self._state = _all_but_numpy(device)
            set_bit_generator(outer_numpy)
            if outer["numpy"][3]:  # the second of a pair of normal numbers, which swapping forgets
                np.random.set_state(outer["numpy"])
            _set_all_but_numpy(outer, device)

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is, as :func:`kept_random_state` does; nothing before its first use."""
        if self._state is None:
            return {}
        return _with_numpy({**self._state, "numpy": np.random.RandomState(self._numpy).get_state()}, torch.from_numpy)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state. It is tried at once, as far as it is the CPU's; what is none raises what the libraries
            raise.
        """
        if state:
            state, cpu = _with_numpy(state, Tensor.numpy), torch.device("cpu")
            outer = random_state(cpu)
            try:
                set_random_state({name: state[name] for name in outer}, cpu)
            finally:
                set_random_state(outer, cpu)
            np.random.RandomState(self._numpy).set_state(state["numpy"])
        self._state = {name: value for name, value in state.items() if name != "numpy"} or None


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of the global random streams, this accelerator's among them."""
    return {"numpy": np.random.get_state(), **_all_but_numpy(device)}


def _all_but_numpy(device: torch.device) -> dict[str, Any]:
    state = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Set the global random streams to what :func:`random_state` returned."""
    if not 0 <= state["numpy"][2] <= 624:  # NumPy would read what lies beyond its state
        raise ValueError(f"expected NumPy's place in a state of 624 numbers, got {state['numpy'][2]!r:.80}")
    np.random.set_state(state["numpy"])
    _set_all_but_numpy(state, device)


def _set_all_but_numpy(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def kept_random_state(device: torch.device) -> dict[str, Any]:
    """Return :func:`random_state` as a checkpoint can hold it: NumPy's numbers as a tensor."""
    return _with_numpy(random_state(device), torch.from_numpy)


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Set the global random streams to what :func:`kept_random_state` returned."""
    set_random_state(_with_numpy(state, Tensor.numpy), device)


def _with_numpy(state: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    name, numbers, *place = state["numpy"]
    return {**state, "numpy": (name, change(numbers), *place)}


def set_mode(model: nn.Module, training: bool) -> None:
    """Set train or eval mode as the model's own methods do, in a quarter of the time or less.

    They take some 4 µs a module, so milliseconds for a language model, and monitoring switches twice an iteration.
    Modules whose methods do no more than keep a flag get their flag; the others are switched by their own methods.
    """
    _switch(model, training, [])


def _switch(model: nn.Module, training: bool, modes: list[tuple[nn.Module, bool]]) -> list[dict[str, Any]]:
    """Set a mode; return the attributes of the modules whose flag that changed.

    :param modes: where the modes go that modules with methods of their own have had, and all modules in them.
    """
    waiting: list[Any] = [model]
    changed: list[dict[str, Any]] = []
    plain: set[Any] = set()
    for module in waiting:
        kind: Any = type(module)
        if kind not in plain:
            if module is None:
                continue
            if hasattr(kind, "unregistered_modules"):
                waiting.extend(module.unregistered_modules)
            elif _has_own_mode(kind) or (kind.train is not nn.Module.train and getattr(module, "use_kernels", False)):
                modes.extend((inner, inner.training) for inner in _modules(module))
                (module.train if training else module.eval)()
                continue
            else:
                plain.add(kind)
        own = module.__dict__
        if own.get("training") is not training:
            own["training"] = training  # past nn.Module.__setattr__
            changed.append(own)
        if children := own["_modules"]:
            waiting.extend(children.values())
    return changed


@functools.cache
def _has_own_mode(kind: Any) -> bool:
    """Whether switching the mode of a module of this kind means more than setting flags.

    Transformers' own methods set flags as well, but recast kernels where those are used.
    """
    plain = {"torch.nn.modules.module", "transformers.modeling_utils"}
    return not {kind.train.__module__, kind.eval.__module__} <= plain


def _modules(model: nn.Module) -> list[nn.Module]:
    """All modules, parents first; one that is shared several times. ``modules()`` takes five times as long."""
    found: list[Any] = [model]
    for module in found:
        if children := module.__dict__["_modules"]:  # most have none
            found += [child for child in children.values() if child is not None]
    return found


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Set the model to eval mode, and each module back to its own mode afterwards."""
    modes: list[tuple[nn.Module, bool]] = []
    changed = _switch(model, False, modes)
    try:
        yield
    finally:
        # Parents come first, so that a module's own mode has the last word.
        for module, training in modes:
            if module.training != training:
                set_mode(module, training)
        for own in changed:
            own["training"] = True


@contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """Put every buffer (batch-norm statistics, say) back to its value afterwards."""
    having = (module for module in _modules(model) if module.__dict__["_buffers"])
    owners = [(m, name, b) for m in having for name, b in m._buffers.items() if b is not None]
    saved = [buffer.clone() for _, _, buffer in owners]
    try:
        yield
    finally:
        with torch.no_grad():
            for (module, name, buffer), value in zip(owners, saved, strict=True):
                buffer.copy_(value)
                module._buffers[name] = buffer  # a pass may have put a new tensor in its place

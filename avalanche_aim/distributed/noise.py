"""Noise that is another in each process, while the common random streams stay common."""

import torch
from torch import Tensor

from .processes import rank


class OwnNoise:
    """Noise (dropout, random transforms) of this process alone, until :meth:`end`.

    It begins from a number drawn from the common stream, which counts as drawn only if there was any noise: without it
    the streams are those of one process. Loaders and buffers then draw alike everywhere.

    :param device: where the noise is drawn, besides the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._before = self._state()
        seed = int(torch.randint(2**62, (1,), device="cpu"))
        self._drawn = torch.get_rng_state()
        torch.default_generator.manual_seed(seed + rank())
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed + rank())
        self._start = self._state()

    def end(self) -> None:
        """Go on with the common streams."""
        drew = any(not torch.equal(now, start) for now, start in zip(self._state(), self._start, strict=True))
        torch.set_rng_state(self._drawn if drew else self._before[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self._before[1], self.device)

    def _state(self) -> list[Tensor]:
        state = [torch.get_rng_state()]
        return [*state, torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else state

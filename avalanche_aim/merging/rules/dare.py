"""DARE: drop at random and rescale."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..task_vectors import is_sharded, precise
from ..weights import Pair


class Dare:
    """θ = θ_prev + α₁·τ̂_new + α₂·τ̂_past, of each τ̂ a random share dropped and the rest rescaled by 1/(1 − drop).

    Source: Yu et al. 2023, arXiv 2311.03099.

    :param drop: p, the probability with which a number of a task vector is dropped.
    :param seed: of the choice; no other random stream is touched.
    :raises ValueError: for a probability outside [0, 1).
    """

    def __init__(self, drop: float = 0.5, seed: int = 0) -> None:
        if not 0 <= drop < 1:
            raise ValueError(f"drop: expected a probability in [0, 1), got {drop}")
        self.drop = drop
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(
        self,
        theta_prev: Sequence[Tensor],
        tau_new: Sequence[Tensor],
        tau_past: Sequence[Tensor],
        coefficients: Sequence[Pair],
    ) -> Iterator[Tensor]:
        """Give the merged weights; see :class:`~avalanche_aim.merging.rules.Rule`."""
        seed = int(torch.randint(2**62, (1,), generator=self._generator))
        own: dict[torch.device, torch.Generator] = {}
        for previous, new, past, (alpha_new, alpha_past) in zip(
            theta_prev, tau_new, tau_past, coefficients, strict=True
        ):
            if new.device not in own:
                own[new.device] = torch.Generator(new.device).manual_seed(seed)
            generator = own[new.device]
            added = self._dropped(new, generator) * alpha_new + self._dropped(past, generator) * alpha_past
            yield precise(previous) + added

    def state_dict(self) -> dict[str, Any]:
        """Return where the choice's generator is."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._generator.set_state(state["generator"])

    def _dropped(self, vector: Tensor, generator: torch.Generator) -> Tensor:
        stays = torch.rand(vector.shape, generator=generator, device=vector.device) >= self.drop
        if is_sharded(vector):  # each process draws for all of them, and takes its own
            from torch.distributed.tensor import distribute_tensor

            layout: Any = vector
            stays = distribute_tensor(stays, layout.device_mesh, layout.placements, src_data_rank=None)
        return vector * stays / (1 - self.drop)

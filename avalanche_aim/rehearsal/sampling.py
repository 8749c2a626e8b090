"""Choosing examples at random, evenly over their targets."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import torch


def balanced_choice(targets: Sequence[Hashable], size: int, generator: torch.Generator) -> list[int]:
    """Choose examples at random, evenly over the targets.

    Targets are visited in rounds, one example each, until ``size`` is reached: every target gets one example
    where the size allows, counts differ by at most one among targets that still have examples, and where all
    targets are distinct the choice is uniform.

    :param size: examples to choose; all are chosen where there are fewer.
    :return: positions in ``targets``, ascending.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position in torch.randperm(len(targets), generator=generator).tolist():
        groups[targets[position]].append(position)
    keys = sorted(groups, key=lambda key: groups[key][0])  # independent of the order of first appearance
    keys = [keys[i] for i in torch.randperm(len(keys), generator=generator).tolist()]
    chosen: list[int] = []
    while len(chosen) < min(size, len(targets)):
        keys = [key for key in keys if groups[key]]
        chosen.extend(groups[key].pop() for key in keys[: size - len(chosen)])
    return sorted(chosen)

"""What the tests of language models share: names of tiny ones, and how two are compared."""

from typing import Any

import torch
from torch import Tensor

from avalanche_aim import LanguageModel

Adapted = tuple[LanguageModel, Any]
NAMES = ("tiny", "tiny-t5")


def frozen(model: LanguageModel) -> list[Tensor]:
    return [weight for weight in model.backbone.parameters() if not weight.requires_grad]


def same(one: LanguageModel, other: LanguageModel) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))

"""What a tensor holds, for checksums."""

import torch
from torch import Tensor


def content(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor's numbers, whatever its type, device and layout."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

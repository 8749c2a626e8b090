"""AIMMerging for Avalanche: continual learning of language models by adaptive iterative model merging."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .memory import RehearsalMemory
    from .plugin import AIMMergingPlugin
    from .text import LanguageModel, TextTask, long_sequence, standard_cl, superni, text_benchmark

__version__ = "0.1.0"

__all__ = [
    "AIMMergingPlugin",
    "LanguageModel",
    "RehearsalMemory",
    "TextTask",
    "long_sequence",
    "standard_cl",
    "superni",
    "text_benchmark",
]

# Avalanche and Transformers take seconds to import; ``python -m avalanche_aim --help`` should not.
_HOMES = {
    "AIMMergingPlugin": ".plugin",
    "LanguageModel": ".text",
    "RehearsalMemory": ".memory",
    "TextTask": ".text",
    "long_sequence": ".text",
    "standard_cl": ".text",
    "superni": ".text",
    "text_benchmark": ".text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Which versions of the libraries a result depends on are installed."""

import functools
import importlib.metadata

LIBRARIES = ("avalanche-aim", "avalanche-lib", "torch", "transformers", "peft")


@functools.cache  # each look at what is installed takes milliseconds, and checkpoints ask at each save
def versions() -> dict[str, str]:
    """Return the installed version of each library that a result depends on."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}

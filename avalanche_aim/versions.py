"""Which versions of the libraries a result depends on are installed."""

import importlib.metadata

LIBRARIES = ("avalanche-aim", "avalanche-lib", "torch", "transformers", "peft")


def versions() -> dict[str, str]:
    """Return the installed version of each library that a result depends on."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}

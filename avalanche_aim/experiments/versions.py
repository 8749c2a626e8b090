"""The libraries that a result depends on."""

import importlib.metadata

LIBRARIES = ("avalanche-aim", "avalanche-lib", "torch", "transformers", "peft")


def versions() -> dict[str, str]:
    """Return the installed version of each library."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}

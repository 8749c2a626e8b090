"""Public names that are imported when they are first used.

Avalanche and Transformers take seconds to import, which ``python -m avalanche_aim --help`` or a look at a data folder
should not cost (PEP 562).
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's ``__getattr__``.

    :param package: the package's ``__name__``.
    :param homes: for each public name the module that defines it, relative to the package.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name], package), name)

    return get

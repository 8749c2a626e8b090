"""Settings from a YAML file."""

from pathlib import Path
from typing import Any

from ..storage import yaml_file
from .configuration import check_names


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the settings that a YAML file gives.

    :param path: the file, with fields of :class:`~avalanche_aim.experiments.Configuration` as keys.
    :raises ValueError: for a file that is no such mapping.
    :raises OSError: for one that can't be read.
    """
    values = yaml_file.read_yaml(path, "settings such as 'epochs: 3'")
    check_names(values, str(path))  # values are checked with those of the command line, which may complete them
    return values

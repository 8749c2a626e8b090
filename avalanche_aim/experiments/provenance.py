"""Where a result comes from: libraries, revision, machine."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ..storage.versions import versions


def provenance() -> dict[str, Any]:
    """Return versions, the revision of this library where it is a git checkout, and the machine, as plain data."""
    import torch  # here, so that runs are read without it

    from ..distributed import world_size

    return {
        "versions": versions(),
        "revision": _revision(Path(__file__).resolve().parents[2]),
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processes": world_size(),
            "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
    }


@cache
def _revision(folder: Path) -> str | None:
    """The commit, with "+changes" if tracked files differ from it; asked once, as the code is loaded once."""
    if not (folder / ".git").exists():
        return None
    git = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())

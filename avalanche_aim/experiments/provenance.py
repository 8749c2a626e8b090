"""Where a result comes from: libraries, revision, machine."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from ..storage.versions import versions


def provenance() -> dict[str, Any]:
    """Return versions, the revision of this library where it is a git checkout, and the machine, as plain data."""
    import torch  # here, so that runs are read without it

    from ..distributed import world_size

    return {
        "versions": versions(),
        "revision": _revision(),
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


def _revision() -> str | None:
    """The commit, with "+changes" if tracked files differ from it."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+changes" if changed.returncode else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())

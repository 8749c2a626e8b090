"""Finding tasks in a folder, however its splits are called."""

from collections.abc import Iterable
from pathlib import Path

from ..orders import canonical
from ..tasks import SPLITS
from .layout import TaskFiles

SPLIT_NAMES = {"train": ("train",), "dev": ("dev", "eval", "val", "valid", "validation"), "test": ("test",)}
"""How each split may be called."""


def by_canonical_name(found: Iterable[TaskFiles]) -> dict[str, TaskFiles]:
    """Index tasks by canonical name; two that are one task are a ValueError."""
    tasks: dict[str, TaskFiles] = {}
    for files in found:
        other = tasks.setdefault(canonical(files.name), files)
        if other is not files:
            raise ValueError(
                f"{_place(other)} and {_place(files)} are one task ({canonical(files.name)!r}); expected each task "
                "once: rename or remove one of them"
            )
    return tasks


def entries(folder: Path, pattern: str) -> list[Path]:
    """Find files and folders, but not those that macOS leaves beside (``._x.json``, ``__MACOSX``, ``.DS_Store``)."""
    found = ((path, path.relative_to(folder).parts) for path in folder.glob(pattern))
    return sorted(path for path, parts in found if not any(p.startswith(".") or p == "__MACOSX" for p in parts))


def folder_tasks(folder: Path, pattern: str, suffixes: tuple[str, ...] = (".json",)) -> dict[str, TaskFiles]:
    """Find tasks that have a folder each, with a file for each split; two files of one split are a ValueError."""
    found = []
    for task in entries(folder, pattern):
        paths: dict[str, Path] = {}
        for split, names in SPLIT_NAMES.items():
            files = [path for name in names for suffix in suffixes if (path := task / f"{name}{suffix}").is_file()]
            if len(files) > 1:
                raise ValueError(f"{files[0]} and {files[1]} are one split; expected one file: remove the other")
            paths.update((split, path) for path in files)
        if paths:
            labels = task / "labels.json"
            found.append(TaskFiles(task.name, paths, labels if labels.is_file() else None))
    return by_canonical_name(found)


def split_files(folder: Path) -> list[tuple[str, Path]]:
    """Find what is in folders that are called as splits."""
    names = ((split, name) for split, names in SPLIT_NAMES.items() for name in names)
    return [(split, path) for split, name in names for path in entries(folder, f"{name}/*")]


def split_tasks(folder: Path, suffixes: tuple[str, ...], ending: str = "") -> dict[str, TaskFiles]:
    """Find tasks that have a file in each split's folder.

    :param ending: what may follow the task's name.
    :raises ValueError: for two files of one split that are one task.
    """
    found: dict[str, TaskFiles] = {}
    there = [(split, path) for split, path in split_files(folder) if path.suffix in suffixes and path.is_file()]
    for split in SPLITS:
        paths = [path for of, path in there if of == split]
        named = by_canonical_name(TaskFiles(path.stem.removesuffix(ending), {split: path}) for path in paths)
        for name, files in named.items():
            earlier = found.get(name, files)
            found[name] = TaskFiles(earlier.name, {**earlier.paths, **files.paths})
    return found


def benchmark_root(folder: Path) -> Path:
    """Return the folder that holds the benchmark: ``CL_Benchmark`` in it, or the folder itself."""
    inner = folder / "CL_Benchmark"
    return inner if inner.is_dir() else folder


def file_start(path: Path, size: int = 200) -> str:
    """Return the first characters of a file; none where it can't be read, because reading it later says why."""
    try:
        with path.open("rb") as file:
            return file.read(size).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _place(files: TaskFiles) -> str:
    paths = list(files.paths.values())
    return str(paths[0] if len(paths) == 1 else paths[0].parent)

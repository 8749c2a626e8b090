"""What a layout on disk is to the rest: a name, its tasks, their examples."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..orders import canonical
from ..tasks import SPLITS, TextExample


@dataclass(frozen=True)
class TaskFiles:
    """Where one task is.

    :param name: the task's name as the folder spells it.
    :param paths: the file of each split that is there.
    :param labels: its ``labels.json``, where the layout has one.
    :param group: the folder above it, where the layout has one (O-LoRA: the type of task).
    """

    name: str
    paths: Mapping[str, Path]
    labels: Path | None = None
    group: str = ""


class Layout(Protocol):
    """One way in which people keep these benchmarks on disk."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def pattern(self) -> str:
        """How its files look, for people."""

    @property
    def instructs(self) -> bool:
        """Whether its files carry instructions; if not, a template of ours stands in."""

    def matches(self, folder: Path) -> bool:
        """Say whether a folder is in this layout, by the files that are there, without reading them all.

        :param folder: the folder.
        """

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks, by canonical name.

        :param folder: the folder.
        :raises ValueError: for two files or folders that are one task.
        """

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split.

        :param files: the task.
        :param split: "train", "dev" or "test", which must be there.
        :raises ValueError: for a file that is not what the layout says; the message names file and record.
        """

    def note(self, folder: Path) -> str | None:
        """Say what to know before comparing scores with tables made from another layout.

        :param folder: the folder.
        """


def by_canonical_name(found: Iterable[TaskFiles]) -> dict[str, TaskFiles]:
    """Index tasks by canonical name.

    :param found: the tasks.
    :raises ValueError: for two that are one task.
    """
    tasks: dict[str, TaskFiles] = {}
    for files in found:
        other = tasks.setdefault(canonical(files.name), files)
        if other is not files:
            raise ValueError(
                f"{_place(other)} and {_place(files)} are one task ({canonical(files.name)!r}); expected each task "
                "once: rename or remove one of them"
            )
    return tasks


def folder_tasks(
    folders: Iterable[Path], file_name: Callable[[str], tuple[str, ...]], group: bool = False
) -> dict[str, TaskFiles]:
    """Find tasks that have a folder each.

    :param folders: folders that may be a task's.
    :param file_name: the names that a split's file may have.
    :param group: True keeps the name of the folder above.
    :raises ValueError: for two folders that are one task, or two files that are one split.
    """
    found = []
    for folder in sorted(folders):
        paths = {}
        for split in SPLITS:
            files = [folder / name for name in file_name(split) if (folder / name).is_file()]
            if len(files) > 1:
                raise ValueError(f"{files[0]} and {files[1]} are one split; expected one file: remove the other")
            if files:
                paths[split] = files[0]
        if paths:
            labels = folder / "labels.json"
            parent = folder.parent.name if group else ""
            found.append(TaskFiles(folder.name, paths, labels if labels.is_file() else None, parent))
    return by_canonical_name(found)


def split_tasks(folder: Path, suffixes: tuple[str, ...], ending: str = "") -> dict[str, TaskFiles]:
    """Find tasks that have a file in each split's folder.

    :param folder: the folder that holds the splits.
    :param suffixes: of the files.
    :param ending: what may follow the task's name.
    :raises ValueError: for two files of one split that are one task.
    """
    found: dict[str, TaskFiles] = {}
    for split in SPLITS:
        paths = [path for path in sorted((folder / split).glob("*")) if path.suffix in suffixes and path.is_file()]
        named = by_canonical_name(TaskFiles(path.stem.removesuffix(ending), {split: path}) for path in paths)
        for name, files in named.items():
            earlier = found.get(name, files)
            found[name] = TaskFiles(earlier.name, {**earlier.paths, **files.paths})
    return found


def benchmark_root(folder: Path) -> Path:
    """Return the folder that holds the benchmark: ``CL_Benchmark`` in it, or the folder itself.

    :param folder: either.
    """
    inner = folder / "CL_Benchmark"
    return inner if inner.is_dir() else folder


def first_character(folders: Iterable[Path]) -> str:
    """Return the first character of most of the splits' files: "[" says that they hold lists, "{" objects.

    Most, because one damaged file must not decide how all others are read.

    :param folders: the tasks' folders.
    :return: the character, or an empty text where there is no file; "{" where there are files but none begins so,
        because reading them then says what is wrong.
    """
    paths = [path for folder in folders for split in SPLITS if (path := folder / f"{split}.json").is_file()]
    counts = Counter(file_start(path).lstrip("\ufeff \t\r\n")[:1] for path in paths)
    return "[" if counts["["] > counts["{"] else "{" if paths else ""


def file_start(path: Path) -> str:
    """Return the first characters of a file; none where it can't be read, because reading it later says why.

    :param path: the file.
    """
    try:
        with path.open("rb") as file:
            return file.read(200).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _place(files: TaskFiles) -> str:
    paths = list(files.paths.values())
    return str(paths[0] if len(paths) == 1 else paths[0].parent)

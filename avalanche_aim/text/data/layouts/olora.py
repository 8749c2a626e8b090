"""The layout of the O-LoRA repository: ``CL_Benchmark/<TYPE>/<Dataset>/{train,dev,test}.json``."""

from pathlib import Path

from ..known import known_task
from ..tasks import TextExample
from ..templates import choice_prompt
from .layout import TaskFiles, benchmark_root, first_character, folder_tasks
from .records import read_labels, read_records, text_field

# What the folder above a data set says about it.
KINDS = {
    "sc": "sentiment", "tc": "topic", "nli": "nli", "qqp": "paraphrase", "boolqa": "boolean", "multirc": "candidate",
    "copa": "choice", "wic": "sense",
}  # fmt: skip


class OLoRALayout:
    """A list of ``{"label", "sentence"}`` a split, ``labels.json`` beside; a template stands in for the prompts."""

    name = "O-LoRA"
    pattern = "CL_Benchmark/<TYPE>/<Dataset>/{train,dev,test}.json, a list of {label, sentence}, and labels.json"
    instructs = False

    def matches(self, folder: Path) -> bool:
        """Recognised by split files two folders down that hold lists."""
        return first_character(benchmark_root(folder).glob("*/*/")) == "["

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return folder_tasks(benchmark_root(folder).glob("*/*/"), lambda split: (f"{split}.json",), group=True)

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`.

        :raises FileNotFoundError: without ``labels.json``, which the prompts list.
        """
        path = files.paths[split]
        if files.labels is None:
            found = sorted(entry.name for entry in path.parent.iterdir())
            raise FileNotFoundError(
                f"{path.parent}: expected labels.json, found {found}; copy it from O-LoRA's data, or write the list "
                "of the task's labels"
            )
        options = read_labels(files.labels)
        known = known_task(files.name)
        kind = KINDS.get(files.group.lower()) or (known and known.kind) or "other"
        return tuple(
            TextExample(
                choice_prompt(kind, options, text_field(path, row, record, "sentence")),
                (text_field(path, row, record, "label"),),
            )
            for row, record in enumerate(read_records(path))
        )

    def note(self, folder: Path) -> str | None:
        """O-LoRA's tables follow from more training rows than others'."""
        return (
            "O-LoRA trains on up to 1,000 rows a class, AIMMerging on 1,000 a task in total: scores from these files "
            "belong in no table with scores from AIMMerging's"
        )

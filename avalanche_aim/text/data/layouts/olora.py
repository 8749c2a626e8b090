"""The layout of the O-LoRA repository: ``CL_Benchmark/<TYPE>/<Dataset>/{train,dev,test}.json``."""

from pathlib import Path

from ..known import known_task, labels_as_used
from ..records import read_labels
from ..tasks import TextExample
from ..templates import choice_prompt
from .finding import benchmark_root, first_character, folder_tasks
from .layout import Layout, TaskFiles

# What the folder above a data set says about it.
KINDS = {
    "sc": "sentiment", "tc": "topic", "nli": "nli", "qqp": "paraphrase", "boolqa": "boolean", "multirc": "candidate",
    "copa": "choice", "wic": "sense",
}  # fmt: skip


class OLoRALayout(Layout):
    """A list of ``{"label", "sentence"}`` a split, ``labels.json`` beside; a template stands in for the prompts."""

    name = "O-LoRA"
    pattern = "CL_Benchmark/<TYPE>/<Dataset>/{train,dev,test}.json, a list of {label, sentence}, and labels.json"
    instructs = False
    words_prompts = True

    def matches(self, folder: Path) -> bool:
        """Recognised by split files two folders down that hold lists."""
        return first_character(benchmark_root(folder), "*/*") == "["

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return folder_tasks(benchmark_root(folder), "*/*", group=True)

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`.

        :raises FileNotFoundError: without ``labels.json``, which the prompts list.
        """
        examples = files.examples(split)
        if files.settings.instruction:
            ask = f"{files.settings.instruction}\n"
            return tuple(TextExample(f"{ask}{e.prompt}\nAnswer:", e.references) for e in examples)
        if files.settings.kind == "open":
            return examples
        options = files.settings.labels
        if options is None:
            options = labels_as_used(files.name, _listed(files, split), {example.answer for example in examples})
        known = known_task(files.name)
        kind = KINDS.get(files.group.lower()) or (known and known.kind) or "other"
        return tuple(TextExample(choice_prompt(kind, options, e.prompt), e.references) for e in examples)

    def note(self, folder: Path) -> str | None:
        """O-LoRA's tables follow from more training rows than others'."""
        return (
            "O-LoRA trains on up to 1,000 rows a class, AIMMerging on 1,000 a task in total: scores from these files "
            "belong in no table with scores from AIMMerging's"
        )


def _listed(files: TaskFiles, split: str) -> tuple[str, ...]:
    if files.labels is not None:
        return read_labels(files.labels)
    folder = files.paths[split].parent
    found = sorted(entry.name for entry in folder.iterdir())
    raise FileNotFoundError(
        f"{folder}: expected labels.json, found {found}; copy it from O-LoRA's data, or write the list of the task's "
        "labels"
    )

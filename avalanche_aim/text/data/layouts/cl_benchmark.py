"""The layouts of the O-LoRA and SAPT repositories: ``CL_Benchmark/<TYPE>/<Dataset>/{train,dev,test}.json``."""

from collections import Counter
from pathlib import Path
from typing import Any

from ..known import known_task, labels_as_used
from ..records import checked_records, read_json, read_labels
from ..tasks import TextExample
from ..templates import choice_prompt
from .finding import SPLIT_NAMES, benchmark_root, entries, file_start, folder_tasks
from .layout import Layout, TaskFiles

# What the folder above a data set says about it.
KINDS = {
    "sc": "sentiment", "tc": "topic", "nli": "nli", "qqp": "paraphrase", "boolqa": "boolean", "multirc": "candidate",
    "copa": "choice", "wic": "sense",
}  # fmt: skip


class _CLBenchmarkLayout(Layout):
    words_prompts = True
    first_character: str
    """Of its files: "[" for lists, "{" for objects."""

    def matches(self, folder: Path) -> bool:
        """Recognised by what most of the split files two folders down hold: one damaged file must not decide.

        Where none holds either, they are taken for objects, since reading them as such says what is wrong.
        """
        names = [f"{name}.json" for names in SPLIT_NAMES.values() for name in names]
        tasks = entries(benchmark_root(folder), "*/*")
        paths = [path for task in tasks for name in names if (path := task / name).is_file()]
        counts = Counter(file_start(path).lstrip("\ufeff \t\r\n")[:1] for path in paths)
        return bool(paths) and self.first_character == ("[" if counts["["] > counts["{"] else "{")

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        return folder_tasks(benchmark_root(folder), "*/*")


class OLoRALayout(_CLBenchmarkLayout):
    """A list of ``{"label", "sentence"}`` a split, ``labels.json`` beside; a template stands in for the prompts."""

    name = "O-LoRA"
    pattern = "CL_Benchmark/<TYPE>/<Dataset>/{train,dev,test}.json, a list of {label, sentence}, and labels.json"
    instructs = False
    first_character = "["

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; without ``labels.json``, which the prompts list, that is a FileNotFoundError."""
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
        group = files.paths[split].parent.parent.name.lower()
        kind = KINDS.get(group) or (known and known.kind) or "other"
        return tuple(TextExample(choice_prompt(kind, options, e.prompt), e.references) for e in examples)

    def note(self, folder: Path) -> str | None:
        """O-LoRA's tables follow from more training rows than others'."""
        return (
            "O-LoRA trains on up to 1,000 rows a class, AIMMerging on 1,000 a task in total: scores from these files "
            "belong in no table with scores from AIMMerging's"
        )


class NaturalInstructionsLayout(_CLBenchmarkLayout):
    """One object a split: ``Definition`` (a list) and ``Instances`` (``{"input", "output"}``)."""

    name = "SAPT / Natural-Instructions"
    pattern = "CL_Benchmark/<Benchmark>/<task>/{train,dev,test}.json, an object with Definition and Instances"
    first_character = "{"

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; the prompts have the form of the AIMMerging SuperNI files."""
        path = files.paths[split]
        content = read_json(path)
        if not isinstance(content, dict) or "Instances" not in content:
            got = f"an object with {sorted(content)!r:.200}" if isinstance(content, dict) else "a list"
            raise ValueError(
                f"{path}: expected an object with Definition and Instances, got {got}; correct it, or, for the O-LoRA "
                "layout, write a list of {label, sentence}"
            )
        if not isinstance(content["Instances"], list):
            raise ValueError(f"{path}: expected Instances to be a list, got {content['Instances']!r:.60}; correct it")
        definition = files.settings.instruction or _definition(path, content)
        ask = f"[INS] {definition}\n " if definition.strip() else ""
        examples = files.examples(split, checked_records(path, content["Instances"]))
        return tuple(TextExample(f"{ask}[IN] {e.prompt}\n [OUT] ", e.references) for e in examples)

    def note(self, folder: Path) -> str | None:
        """SAPT words its prompts differently from the others."""
        return "SAPT words its Long-sequence instructions differently from AIMMerging; the one of CB lists no options"


def _listed(files: TaskFiles, split: str) -> tuple[str, ...]:
    if files.labels is not None:
        return read_labels(files.labels)
    folder = files.paths[split].parent
    found = sorted(entry.name for entry in folder.iterdir())
    raise FileNotFoundError(
        f"{folder}: expected labels.json, found {found}; copy it from O-LoRA's data, or write the list of the task's "
        "labels"
    )


def _definition(path: Path, content: dict[str, Any]) -> str:
    """The instruction: the first definition, as further ones say the same; empty where there is none."""
    definition = content.get("Definition", [])
    texts = [definition] if isinstance(definition, str) else definition
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{path}: expected Definition to be a list of texts, got {definition!r:.60}; correct it")
    return texts[0] if texts else ""

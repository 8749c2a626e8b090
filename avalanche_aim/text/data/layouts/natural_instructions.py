"""The layout of the SAPT repository, in the format of Natural-Instructions."""

from pathlib import Path
from typing import Any

from ..records import checked_records, read_json
from ..tasks import TextExample
from ..templates import definition_prompt
from .finding import benchmark_root, first_character, folder_tasks
from .layout import Layout, TaskFiles


class NaturalInstructionsLayout(Layout):
    """One object a split: ``Definition`` (a list) and ``Instances`` (``{"input", "output"}``)."""

    name = "SAPT / Natural-Instructions"
    pattern = "CL_Benchmark/<Benchmark>/<task>/{train,dev,test}.json, an object with Definition and Instances"
    words_prompts = True

    def matches(self, folder: Path) -> bool:
        """Recognised by split files two folders down that hold objects."""
        return first_character(benchmark_root(folder), "*/*") == "{"

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return folder_tasks(benchmark_root(folder), "*/*", group=True)

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
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
        examples = files.examples(split, checked_records(path, content["Instances"]))
        return tuple(TextExample(definition_prompt(definition, e.prompt), e.references) for e in examples)

    def note(self, folder: Path) -> str | None:
        """SAPT words its prompts differently from the others."""
        return "SAPT words its Long-sequence instructions differently from AIMMerging; the one of CB lists no options"


def _definition(path: Path, content: dict[str, Any]) -> str:
    """The instruction: the first definition, as further ones say the same; empty where there is none."""
    definition = content.get("Definition", [])
    texts = [definition] if isinstance(definition, str) else definition
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{path}: expected Definition to be a list of texts, got {definition!r:.60}; correct it")
    return texts[0] if texts else ""

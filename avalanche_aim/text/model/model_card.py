"""The README.md beside a saved model: what it is, how it was trained, what it scores, how to load it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...storage.versions import versions

TAG = "avalanche-aim"
"""Marks the folders that this library wrote, which a later save may replace."""


@dataclass(frozen=True)
class Training:
    """What is to be said of how a model was trained; all that is left out is left out of the card.

    :param tasks: their names, in the order in which they were learned.
    :param scores: the score of each task after the last one, in percent; None where it was not measured.
    :param metrics: such as OP, BWT and FWT, by name.
    :param definitions: what each of the metrics means, and "score".
    :param settings: all others: strategy, seed, learning rate, …
    """

    tasks: Sequence[str] = ()
    scores: Sequence[float | None] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Base:
    """A base model by what others can load it by.

    :param name: a Hugging Face id, or an absolute folder.
    :param revision: the revision that was asked for.
    """

    name: str
    revision: str | None = None

    @classmethod
    def named(cls, name: str, revision: str | None = None) -> "Base":
        """Return the base model of a name as the user gave it."""
        folder = Path(name).expanduser()
        return cls(str(folder.resolve()) if folder.is_dir() else name, revision)

    @property
    def on_hub(self) -> bool:
        """Whether the name is a Hugging Face id."""
        return not Path(self.name).is_absolute()


@dataclass(frozen=True)
class Saved:
    """What is saved.

    :param adapter: whether it is a ``peft`` adapter, not a whole model.
    :param causal: whether the model is causal, not sequence-to-sequence.
    :param base: the base model, or None where it has no name that others know.
    :param note: what else is to be known of the weights.
    """

    adapter: bool
    causal: bool
    base: Base | None
    note: str = ""


def model_card(saved: Saved, training: Training) -> str:
    """Return the text of README.md: YAML front matter as the Hugging Face Hub reads it, and Markdown.

    The licence is not known here and left out.
    """
    import yaml

    front = yaml.safe_dump(_front_matter(saved), sort_keys=False, allow_unicode=True)
    blocks = [f"---\n{front}---", *_what(saved), *_results(training), *_loading(saved)]
    blocks += ["## Settings", _bullets(training.settings)] if training.settings else []
    blocks += ["## Library versions", _bullets(versions())]
    return "\n\n".join(blocks) + "\n"


def _front_matter(saved: Saved) -> dict[str, Any]:
    data: dict[str, Any] = {"library_name": "peft" if saved.adapter else "transformers"}
    tags = [TAG, "continual-learning"]
    if saved.causal:
        data["pipeline_tag"] = "text-generation"
    if saved.base is not None and saved.base.on_hub:  # the Hub refuses a folder here
        data["base_model"] = saved.base.name
        tags += [f"base_model:adapter:{saved.base.name}"] if saved.adapter else []
    if saved.adapter:
        tags.append("lora")
    return {**data, "tags": tags}


def _what(saved: Saved) -> list[str]:
    kind = "causal" if saved.causal else "sequence-to-sequence"
    what = f"A LoRA adapter of a {kind} language model" if saved.adapter else f"A {kind} language model"
    how = ", trained on a sequence of tasks with [Avalanche](https://avalanche.continualai.org) and avalanche-aim."
    base = "one without a name that others could load it by"
    if saved.base:
        base = f"`{saved.base.name}`" + (f", revision `{saved.base.revision}`" if saved.base.revision else "")
    return ["# Model card", what + how, f"Base model: {base}.", *([saved.note] if saved.note else [])]


def _results(training: Training) -> list[str]:
    if not training.tasks:
        return []
    blocks = ["## Tasks", "In the order in which they were learned, with the score after the last one, in percent:"]
    scores = [*training.scores, *[None] * (len(training.tasks) - len(training.scores))]
    rows = [f"| {n} | {task} | {_number(score)} |" for n, (task, score) in
            enumerate(zip(training.tasks, scores, strict=True), start=1)]  # fmt: skip
    blocks.append("\n".join(["| | task | score |", "|---:|---|---:|", *rows]))
    if "score" in training.definitions:
        blocks.append(f"Score: {training.definitions['score']}.")
    if training.metrics:
        means = {name: f" ({definition})" for name, definition in training.definitions.items()}
        said = {name: _number(value) + means.get(name, "") for name, value in training.metrics.items()}
        blocks += ["## Metrics", _bullets(said)]
    return blocks


def _loading(saved: Saved) -> list[str]:
    auto = "AutoModelForCausalLM" if saved.causal else "AutoModelForSeq2SeqLM"
    if saved.adapter:
        base = '"the base model"'
        if saved.base:
            base = repr(saved.base.name) + (f", revision={saved.base.revision!r}" if saved.base.revision else "")
        plain = (
            f"from peft import PeftModel\nfrom transformers import {auto}, AutoTokenizer\n\n"
            f'base = {auto}.from_pretrained({base})\nmodel = PeftModel.from_pretrained(base, "this/folder")'
        )
    else:
        plain = f'from transformers import {auto}, AutoTokenizer\n\nmodel = {auto}.from_pretrained("this/folder")'
    plain += '\ntokenizer = AutoTokenizer.from_pretrained("this/folder")'
    lora = "" if saved.adapter else ", lora=False"
    own = f'from avalanche_aim import LanguageModel\n\nmodel = LanguageModel.from_pretrained("this/folder"{lora})'
    answers = "A prompt ends where its answer begins, and every answer ends with the end-of-sequence token."
    if saved.causal:
        answers += " The answer's first token begins with a space."
    blocks = ["## How to load it", f"```python\n{plain}\n```"]
    if saved.base or not saved.adapter:
        blocks += ["To go on training, or to score answers:", f"```python\n{own}\n```"]
    return [*blocks, answers]


def _bullets(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.1f}"

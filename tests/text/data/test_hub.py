"""Tasks from the Hugging Face Hub; a stand-in for ``load_dataset`` serves small data sets made here."""

import re
import string
from typing import Any

import pytest

from avalanche_aim.text.data import hub
from avalanche_aim.text.data.hub import HUB_SOURCES, read_hub_task
from avalanche_aim.text.data.known import LONG_SEQUENCE_TASKS
from avalanche_aim.text.data.layouts import read_tasks

datasets = pytest.importorskip("datasets")


def loader(name: str, sizes: dict[str, int], **changes: Any) -> Any:
    """A ``load_dataset`` that knows one data set, whose rows hold the fields that its source names."""
    source = HUB_SOURCES[name]
    fields = [field for _, field, _, _ in string.Formatter().parse(source.text) if field]

    def load(path: str, config: str | None, split: str) -> Any:
        assert (path, config) == (source.path, source.config)
        columns: dict[str, list[Any]] = {
            field: [f"{split} {field} {n}" for n in range(sizes[split])] for field in fields
        }
        columns[source.label] = [n % len(source.labels) for n in range(sizes[split])]
        return datasets.Dataset.from_dict({**columns, **changes})

    return load


def test_the_fifteen_tasks_of_the_long_sequence_are_mapped_onto_their_published_labels() -> None:
    assert set(HUB_SOURCES) == set(LONG_SEQUENCE_TASKS)
    for name, source in HUB_SOURCES.items():
        assert set(source.labels) == set(LONG_SEQUENCE_TASKS[name].labels[0])


@pytest.mark.parametrize("name", HUB_SOURCES)
def test_every_task_is_read_into_prompts_and_label_texts(name: str) -> None:
    source = HUB_SOURCES[name]
    task = read_hub_task(name, loader(name, {"train": 60, source.test: 20}))
    assert (len(task.train), len(task.dev), len(task.test)) == (54, 6, 20)
    assert task.labels == source.labels and task.metric == "exact_match"
    for example in task.train:
        assert f"options: {', '.join(source.labels)}.\n" in example.prompt and example.prompt.endswith("\nAnswer:")
        number = int(re.findall(r"train \w+ (\d+)", example.prompt)[0])
        assert example.answer == source.labels[number % len(source.labels)]


def test_dev_is_cut_from_train_and_splits_share_no_row() -> None:
    task = read_hub_task("agnews", loader("agnews", {"train": 60, "test": 20}))
    prompts = [example.prompt for split in ("train", "dev", "test") for example in task.split(split)]
    assert len(set(prompts)) == 80 and all("train text" in example.prompt for example in task.dev)


def test_as_many_rows_are_kept_as_in_the_published_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TRAIN_ROWS", 20)
    monkeypatch.setattr(hub, "EVAL_ROWS", 5)
    load = loader("imdb", {"train": 100, "test": 50})
    small = read_hub_task("IMDB", load)
    assert (small.name, len(small.train), len(small.dev), len(small.test)) == ("IMDB", 20, 5, 5)
    assert small == read_hub_task("IMDB", load)


def test_data_hub_selects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_load_dataset", lambda: loader("yelp", {"train": 40, "test": 10}))
    (task,) = read_tasks("hub", ["yelp"])
    assert task.name == "yelp" and len(task.train) == 36


def test_an_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected one of agnews, amazon, .*; got 'task363'\. Give a folder instead"):
        read_hub_task("task363", loader("agnews", {}))


def test_a_field_that_is_not_there_is_named_with_its_row() -> None:
    def load(*_: Any, split: str) -> Any:
        return datasets.Dataset.from_dict({"body": ["a"] * 20, "label": [0] * 20})

    with pytest.raises(
        ValueError, match=r"fancyzhx/ag_news, row 2: expected the field 'text', got \['body', 'label'\]"
    ):
        read_hub_task("agnews", load)


def test_a_hidden_label_is_refused() -> None:
    with pytest.raises(ValueError, match="row 2: expected 'label' below 2, got -1; rows without a public label"):
        read_hub_task("imdb", loader("imdb", {"train": 20, "test": 20}, label=[-1] * 20))

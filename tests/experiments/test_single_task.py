"""Single-task references: what they depend on, and that they are measured once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario

from avalanche_aim.experiments import Key, Settings, run, single_task, single_task_scores
from avalanche_aim.experiments.single_task import common_key, read_score, task_key, write_score
from avalanche_aim.storage.files import digest
from avalanche_aim.text import LanguageModel, TextExample, TextTask, text_benchmark

SETTINGS = Settings(batch_size=4, learning_rate=0.02)
NAMES = ["fruits", "tools", "places"]
LABELS = {"fruits": ("apple", "pear"), "tools": ("saw", "hammer", "apple"), "places": None}


def make_task(name: str) -> TextTask:
    labels = LABELS[name]
    answers = labels or ("here", "there", "nowhere")
    examples = tuple(TextExample(f"{name} {row}:", (answers[row % len(answers)],)) for row in range(12))
    return TextTask(name, examples, (), examples[:6], labels, "exact_match" if labels else "rouge_l")


def make_benchmark(model: LanguageModel, names: list[str]) -> CLScenario:
    return text_benchmark([make_task(name) for name in names], model.tokenizer)


@pytest.fixture
def model() -> LanguageModel:
    return LanguageModel.from_pretrained("tiny", lora=False)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were trained on, in order."""
    names: list[str] = []
    measure = single_task._measure

    def counted(*arguments: object) -> float:
        names.append(arguments[1].task_name)  # type: ignore[attr-defined]
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(single_task, "_measure", counted)
    return names


def test_first_task_scores_as_in_a_naive_run(model: LanguageModel, hidden: Any) -> None:
    benchmark = make_benchmark(model, NAMES)
    single = single_task_scores(model, benchmark, SETTINGS, progress=False)
    result = run(Key("naive"), model, benchmark, SETTINGS, bar=hidden, single=single)
    assert result.r[0][0] == single[0]
    gains = [row[j] - b for j, (row, b) in enumerate(zip(result.r, single, strict=True))]  # type: ignore[operator]
    assert result.metrics["FWT"] == pytest.approx(sum(gains) / 3)


def test_model_stays_as_it_was(model: LanguageModel) -> None:
    before = [weight.clone() for weight in model.parameters()]
    single_task_scores(model, make_benchmark(model, NAMES), SETTINGS, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_scores_are_measured_once_and_found_in_any_order(model: LanguageModel, measured: list[str]) -> None:
    scores = single_task_scores(model, make_benchmark(model, NAMES), SETTINGS, progress=False)
    assert measured == NAMES
    backwards = single_task_scores(model, make_benchmark(model, NAMES[::-1]), SETTINGS, progress=False)
    assert measured == NAMES and backwards == scores[::-1]


def test_score_does_not_depend_on_the_order(model: LanguageModel) -> None:
    one = single_task_scores(model, make_benchmark(model, NAMES), SETTINGS, cache=False, progress=False)
    other = single_task_scores(model, make_benchmark(model, NAMES[::-1]), SETTINGS, cache=False, progress=False)
    assert one == other[::-1]


def test_only_new_tasks_are_measured(model: LanguageModel, measured: list[str]) -> None:
    single_task_scores(model, make_benchmark(model, NAMES[:2]), SETTINGS, progress=False)
    single_task_scores(model, make_benchmark(model, NAMES), SETTINGS, progress=False)
    assert measured == NAMES


CHANGES: dict[str, Callable[[Settings], Settings]] = {
    "epochs": lambda s: replace(s, epochs=3),
    "batch size": lambda s: replace(s, batch_size=5),
    "evaluation batch size": lambda s: replace(s, eval_batch_size=5),
    "learning rate": lambda s: replace(s, learning_rate=0.01),
    "stream": lambda s: replace(s, stream="dev"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_settings_change_the_key(model: LanguageModel, change: str) -> None:
    assert common_key(model, CHANGES[change](SETTINGS), 0) != common_key(model, SETTINGS, 0)


def test_the_seed_changes_the_key(model: LanguageModel) -> None:
    assert common_key(model, SETTINGS, 1) != common_key(model, SETTINGS, 0)


def test_memory_does_not_change_the_key(model: LanguageModel) -> None:
    assert common_key(model, replace(SETTINGS, memory=0.5), 0) == common_key(model, SETTINGS, 0)


def test_versions_change_the_key(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = common_key(model, SETTINGS, 0)
    monkeypatch.setattr(single_task, "versions", lambda: {"torch": "0"})
    assert common_key(model, SETTINGS, 0) != before


def test_model_changes_the_key() -> None:
    keys = [
        common_key(LanguageModel.from_pretrained("tiny", **options), SETTINGS, 0)
        for options in ({}, {"seed": 1}, {"lora": {"lora_dropout": 0.5}}, {"autocast": torch.bfloat16})
    ]
    assert all(key not in keys[:number] for number, key in enumerate(keys))
    assert common_key(LanguageModel.from_pretrained("tiny"), SETTINGS, 0) == keys[0]


@pytest.mark.parametrize("weight", ["trainable", "frozen"])
def test_weights_change_the_key(weight: str) -> None:
    model = LanguageModel.from_pretrained("tiny")
    before = common_key(model, SETTINGS, 0)
    chosen = next(p for p in model.backbone.parameters() if p.requires_grad == (weight == "trainable"))
    with torch.no_grad():
        chosen.add_(0.01)
    assert common_key(model, SETTINGS, 0) != before


@pytest.mark.parametrize("split", ["train", "test"])
def test_examples_change_the_key(model: LanguageModel, split: str) -> None:
    task = make_task("fruits")
    changed = (*task.split(split)[:-1], TextExample("fruits 99:", ("pear",)))
    one, other = (text_benchmark([t], model.tokenizer, cache=False) for t in (task, replace(task, **{split: changed})))
    keys = [task_key(b.train_stream[0], b.test_stream[0]) for b in (one, other)]
    assert keys[0] != keys[1]


def test_further_references_and_the_metric_change_the_key(model: LanguageModel) -> None:
    task = make_task("fruits")
    more = tuple(replace(example, references=(*example.references, "fruit")) for example in task.test)
    variants = [task, replace(task, test=more), replace(task, metric="rouge_l")]
    benchmarks = [text_benchmark([variant], model.tokenizer, cache=False) for variant in variants]
    keys = [task_key(b.train_stream[0], b.test_stream[0]) for b in benchmarks]
    assert keys[0] != keys[1] != keys[2] != keys[0]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"score": "high"}', '{"score": NaN}', '{"score": 101}', "{}"])
def test_corrupt_file_holds_no_score(tmp_path: Path, content: str) -> None:
    file = tmp_path / "score.json"
    file.write_text(content)
    with pytest.warns(UserWarning, match="holds no single-task score"):
        assert read_score(file) is None


def test_corrupt_file_is_measured_again_with_a_warning(
    model: LanguageModel, measured: list[str], tmp_path: Path
) -> None:
    benchmark = make_benchmark(model, NAMES[:1])
    scores = single_task_scores(model, benchmark, SETTINGS, cache=tmp_path, progress=False)
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    with pytest.warns(UserWarning, match="holds no single-task score"):
        assert single_task_scores(model, benchmark, SETTINGS, cache=tmp_path, progress=False) == scores
    assert measured == ["fruits", "fruits"]
    assert json.loads(file.read_text())["score"] == scores[0]


def test_a_score_that_was_changed_or_moved_is_not_believed(tmp_path: Path) -> None:
    key = {"seed": 0}
    file, other = tmp_path / f"{digest(key)}.json", tmp_path / "other.json"
    write_score(file, "fruits", 81.25, key)
    assert read_score(file) == 81.25
    other.write_bytes(file.read_bytes())
    file.write_bytes(file.read_bytes().replace(b"81.25", b"91.25"))
    for path in (file, other):
        with pytest.warns(UserWarning, match="holds no single-task score"):
            assert read_score(path) is None


def test_training_that_diverges_is_an_error_and_no_score(model: LanguageModel, own_cache: Path) -> None:
    diverging = replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(FloatingPointError):
        single_task_scores(model, make_benchmark(model, NAMES[:1]), diverging, progress=False)
    assert list(own_cache.glob("single_task/*")) == []


def test_a_score_that_another_command_has_written_meanwhile_is_taken(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([40.0, 60.0])

    def measure(*arguments: Any) -> float:
        score = next(measured)
        if score == 40.0:  # the other command begins and ends while this one measures
            assert single_task_scores(model, benchmark, SETTINGS, progress=False) == [60.0]
        return score

    benchmark = make_benchmark(model, NAMES[:1])
    monkeypatch.setattr(single_task, "_measure", measure)
    assert single_task_scores(model, benchmark, SETTINGS, progress=False) == [60.0]


def test_without_cache_nothing_is_written(model: LanguageModel, own_cache: Path) -> None:
    single_task_scores(model, make_benchmark(model, NAMES[:1]), SETTINGS, cache=False, progress=False)
    assert not (own_cache / "single_task").exists()


def test_unwritable_folder_is_told_and_scores_come_all_the_same(model: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    benchmark = make_benchmark(model, NAMES[:1])
    with pytest.warns(UserWarning, match="is not kept"):
        scores = single_task_scores(model, benchmark, SETTINGS, cache=tmp_path / "file" / "folder", progress=False)
    assert len(scores) == 1

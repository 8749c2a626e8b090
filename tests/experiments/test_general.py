"""General ability in a run: measured beside it by lm-evaluation-harness, with training left alone."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avalanche_aim import LanguageModel
from avalanche_aim.experiments import Comparison, Configuration, Key, Result, Settings, run
from avalanche_aim.experiments.comparison import Checkpoints
from avalanche_aim.experiments.general import SHIPPED, GeneralTasks
from avalanche_aim.experiments.progress import progress_bar

lm_eval = pytest.importorskip("lm_eval")

SETTINGS = Settings(batch_size=4, learning_rate=1e-2, device="cpu")
TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
{choices}
doc_to_target: {target}
metric_list: [{{metric: {metric}}}]
"""
CHOICES = {"kind": "multiple_choice", "target": "answer", "choices": "doc_to_choice: choices"}
FREE = {"kind": "generate_until", "target": "text", "choices": ""}
ROWS = [{"question": f"Is {n} even?", "choices": ["yes", "no"], "answer": n % 2, "text": "yes"} for n in range(6)]


@pytest.fixture(autouse=True)
def own_data_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what datasets makes of local files in the test's folder."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.fixture
def local(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder with one local task."""

    def write(name: str = "parity", **changes: str) -> Path:
        folder = tmp_path / "local"
        folder.mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
        values = {"name": name, "file": "rows.jsonl", "metric": "acc", **CHOICES}
        (folder / f"{name}.yaml").write_text(TASK.format(**{**values, **changes}), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Put a folder in the place of the harness's own tasks, which take long to look through; one needs the hub."""
    import lm_eval.tasks

    folder, real = tmp_path / "harness", lm_eval.tasks.TaskManager
    folder.mkdir()
    (folder / "offline.py").write_text(
        "def load(**settings):\n    raise ConnectionError('Could not reach the hub')\n", encoding="utf-8"
    )
    text = TASK.format(name="remote", file="none", metric="acc", **CHOICES)
    (folder / "remote.yaml").write_text(f"{text}custom_dataset: !function offline.load\n", encoding="utf-8")

    def manager(include_path: Any = None, include_defaults: bool = True) -> Any:
        return real(include_path=include_path or str(folder), include_defaults=False)

    monkeypatch.setattr(lm_eval.tasks, "TaskManager", manager)
    yield folder


def by_hand(model: LanguageModel) -> str:
    """Score every choice of the shipped questions by the sum of its tokens' log-probabilities."""
    right = ""
    inner, tokenizer = model.language_model.eval(), model.tokenizer
    for line in (SHIPPED / "facts.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        prompt = f"Question: {row['question']}\nAnswer:"
        scores = []
        for choice in row["choices"]:
            begun, whole = tokenizer(prompt).input_ids, tokenizer(f"{prompt} {choice}").input_ids
            with torch.no_grad():
                scores.append(_score(inner, begun, whole))
        right += str(int(scores.index(max(scores)) == row["answer"]))
    return right


def _score(inner: Any, begun: list[int], whole: list[int]) -> float:
    logits = inner(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
    return sum(float(logits[place - 1, whole[place]]) for place in range(len(begun), len(whole)))


def test_the_answers_are_those_that_the_log_probabilities_give(tiny_models: dict[str, LanguageModel]) -> None:
    model = tiny_models["tiny"]
    found = GeneralTasks(["facts"]).measure(model, 8)["facts"]
    assert found == {"metric": "acc", "chance": [0.25], "right": by_hand(model)}
    assert len(set(found["right"])) == 2


@pytest.mark.parametrize(
    ("kind", "every"),
    [("tiny", "end"), *(pytest.param(kind, "task", marks=pytest.mark.slow) for kind in ("tiny", "tiny-t5"))],
)
def test_training_is_left_alone_to_the_bit(
    kind: str, every: str, streams: dict[str, Any], same: Callable[[Any, Any], bool]
) -> None:
    trained: list[dict[str, Tensor]] = []
    results: list[Result] = []
    for general in (None, GeneralTasks(["facts"], 6, every)):
        model = LanguageModel.from_pretrained(kind, {"lora_dropout": 0.2})
        state = lambda strategy_model, result: trained.append(dict(strategy_model.trainable.items()))  # noqa: E731
        options = {"bar": progress_bar(0, False), "keep": state, "general": general}
        results.append(run(Key("replay"), model, streams[kind], SETTINGS, **options))
    assert same(*trained)
    assert results[0].r == results[1].r
    assert results[0].general is None
    assert results[1].general is not None
    (task,) = results[1].general.tasks
    assert (task.after, task.questions) == ([0, 1, 2] if every == "task" else [0, 2], 6)


def test_a_strategy_for_the_whole_stream_is_measured_before_it_and_at_its_end(streams: dict[str, Any]) -> None:
    model = LanguageModel.from_pretrained("tiny")
    general = GeneralTasks(["facts"], 4, "task")
    result = run(Key("joint"), model, streams["tiny"], SETTINGS, bar=progress_bar(0, False), general=general)
    assert result.general is not None
    assert result.general.tasks[0].after == [0, 2]


def test_the_model_s_tokenizer_modes_and_random_streams_stay_as_they_are() -> None:
    model = LanguageModel.from_pretrained("tiny")
    model.train()
    model.tokenizer.pad_token = None
    random = torch.get_rng_state()
    GeneralTasks(["facts"], 2).measure(model, 2)
    assert model.tokenizer.pad_token is None
    assert all(module.training for module in model.backbone.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_runs_that_begin_alike_share_the_first_measurement(
    streams: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    measure = GeneralTasks.measure
    monkeypatch.setattr(GeneralTasks, "measure", lambda *arguments: asked.append(1) or measure(*arguments))
    model, general = LanguageModel.from_pretrained("tiny"), GeneralTasks(["facts"], 2)
    for name in ("naive", "replay"):
        run(Key(name), model, streams["tiny"], SETTINGS, bar=progress_bar(0, False), general=general)
    assert len(asked) == 1 + 2


def test_a_folder_of_local_tasks_is_read_with_paths_relative_to_it(
    local: Callable[..., Path], tiny_models: dict[str, LanguageModel]
) -> None:
    local("parity")
    folder = local("free", metric="exact_match", **FREE)
    found = GeneralTasks([str(folder)], 3).measure(tiny_models["tiny"], 4)
    assert {name: (one["metric"], one["chance"], len(one["right"])) for name, one in found.items()} == {
        "free": ("exact_match", [0.0], 3),
        "parity": ("acc", [0.5], 3),
    }


def test_a_group_is_one_task_of_all_its_questions(
    harness: Path, local: Callable[..., Path], tiny_models: dict[str, LanguageModel]
) -> None:
    folder = local("parity")
    for name in ("one", "two"):
        text = (folder / "parity.yaml").read_text(encoding="utf-8")
        text = text.replace("parity", name).replace("rows.jsonl", str(folder / "rows.jsonl"))
        (harness / f"{name}.yaml").write_text(text, encoding="utf-8")
    (harness / "both.yaml").write_text("group: both\ntask: [one, two]\n", encoding="utf-8")
    found = GeneralTasks(["both"], 2).measure(tiny_models["tiny"], 4)
    assert list(found) == ["both"]
    assert len(found["both"]["right"]) == 4


def test_without_the_hub_the_run_goes_on_and_says_why(
    harness: Path, configuration: Callable[..., Configuration], tmp_path: Path
) -> None:
    asked = configuration(strategies=("naive",), general=("remote", "facts"), general_limit=2)
    comparison = Comparison(asked, tmp_path / "out")
    comparison.run(progress=False)
    (general,) = [result.general for result in Comparison(asked, tmp_path / "out").results]
    assert general is not None
    assert [task.name for task in general.tasks] == ["facts"]
    assert "Could not reach the hub" in general.missing["remote"]


def test_an_unknown_task_is_refused_before_training_with_names_that_are_near(
    harness: Path, configuration: Callable[..., Configuration], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"expected a task or group .* got 'remot'; near it are remote"):
        Comparison(configuration(general=("remot",)), tmp_path)


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ImportError, match=r"general: expected the package lm-eval; pip install 'avalanche-aim\[gen"):
        GeneralTasks(["facts"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "bleu", **FREE}, "answers are right or wrong .* has bleu"),
        ({"file": "none.jsonl"}, "'parity' fails with .*; paths in its file are relative to the folder"),
        ({"name": "[a"}, "parity.yaml: expected the YAML file of a task"),
        ({"name": "facts"}, "different names, got 'facts' twice"),
    ],
)
def test_a_local_task_that_cannot_be_measured_is_refused(
    changes: dict[str, str], message: str, local: Callable[..., Path]
) -> None:
    folder = local("parity")
    (folder / "parity.yaml").unlink()
    local("other")
    text = TASK.format(**{"name": "parity", "file": "rows.jsonl", "metric": "acc", **CHOICES, **changes})
    (folder / "parity.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        GeneralTasks(["facts", str(folder)])


def test_a_question_of_one_option_is_refused_before_training(
    local: Callable[..., Path], tiny_models: dict[str, LanguageModel]
) -> None:
    folder = local("parity")
    row = {"question": "Is 2 even?", "choices": ["yes"], "answer": 0}
    (folder / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(ValueError, match="parity: expected two options or more"):
        GeneralTasks([str(folder)]).measure_first(tiny_models["tiny"], 4)


def test_a_folder_without_a_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected YAML files of tasks .* found none"):
        GeneralTasks([str(tmp_path)])


@pytest.mark.parametrize(("name", "value"), [("general_limit", 3), ("general_every", "task")])
def test_a_setting_without_a_task_is_refused(
    name: str, value: Any, configuration: Callable[..., Configuration]
) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected none without general tasks"):
        configuration(**{name: value})


@pytest.mark.slow
def test_a_resumed_run_keeps_what_was_measured(
    configuration: Callable[..., Configuration], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = configuration(strategies=("naive",), general=("facts",), general_limit=8, general_every="task")
    whole, cut = (Comparison(asked, tmp_path / name, Checkpoints(every=1)) for name in ("whole", "cut"))
    whole.run(progress=False)
    measure, measured = GeneralTasks.measure, []

    def counted(*arguments: Any) -> dict[str, Any]:
        measured.append(1)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(GeneralTasks, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        cut.run(progress=False)
    resumed = Comparison(asked, tmp_path / "cut", Checkpoints(every=1))
    resumed.run(progress=False)
    assert len(measured) == 4  # before the stream, after the first task, and twice after the second
    assert resumed.results[0].general == whole.results[0].general

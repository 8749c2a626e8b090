"""What is guessed of a task can be overruled: beside the files, or by hand."""

from pathlib import Path
from typing import Any

import pytest
from layout_files import aimmerging, edit, natural_instructions, olora, plain, write

from avalanche_aim.text import DataWarning, TextTask, read_tasks, standard_cl
from avalanche_aim.text.data.inspection import inspect_folder
from avalanche_aim.text.model.tiny import tiny_tokenizer

quiet = pytest.mark.filterwarnings("ignore::avalanche_aim.text.DataWarning")


def read(folder: Path, **settings: Any) -> TextTask:
    return read_tasks(folder, ["reviews"], task_settings={"Reviews": settings})[0]


def distinct(folder: Path) -> Path:
    """A folder whose answers are all different."""
    for split in ("train", "dev", "test"):
        write(folder / split / "reviews.json", [{"input": f"{split} {n}", "output": f"a{n}"} for n in range(9)])
    return folder


def test_a_closed_task_may_be_open_and_an_open_one_closed(tmp_path: Path) -> None:
    task = read(aimmerging(tmp_path / "a"), kind="open")
    assert (task.labels, task.metric) == (None, "rouge_l")
    task = read(distinct(tmp_path / "b"), kind="closed")
    assert task.labels == tuple(f"a{n}" for n in range(9)) and task.metric == "exact_match"


@quiet
@pytest.mark.parametrize(
    ("name", "kind", "metric"), [("imdb", "open", "rouge_l"), ("task073", "closed", "exact_match")]
)
def test_known_tasks_too(name: str, kind: str, metric: str, tmp_path: Path) -> None:
    (task,) = read_tasks(aimmerging(tmp_path, name), [name], task_settings={name: {"kind": kind}})
    assert (task.labels is None, task.metric) == (kind == "open", metric)


def test_labels_are_a_closed_set(tmp_path: Path) -> None:
    assert read(aimmerging(tmp_path), labels=["bad", "good", "ugly"]).labels == ("bad", "good", "ugly")
    with pytest.raises(ValueError, match=r"record 1: the label 'bad' is not in the task's settings.*kind: open"):
        read(tmp_path, labels=["good"])


@quiet
def test_labels_may_rename_the_answers_of_the_records(tmp_path: Path) -> None:
    task = read(aimmerging(tmp_path), labels={"good": "Positive", "bad": "Negative"})
    assert task.labels == ("Positive", "Negative") and task.train[1].answer == "Negative"
    edit(tmp_path / "dev/reviews_T5.json", lambda rows: [{**rows[0], "output": True}, {**rows[1], "output": 1}])
    names = {"good": "yes", "bad": "no", "True": "yes", 1: "no"}
    task = read(tmp_path, labels=names)
    assert task.labels == ("yes", "no") and [example.answer for example in task.dev] == ["yes", "no"]


def test_labels_that_are_given_are_what_is_meant(tmp_path: Path) -> None:
    aimmerging(tmp_path, labels=("y", "n"))
    edit(
        tmp_path / "train/reviews_T5.json",
        lambda rows: [{**row, "input": f"Which?\n{n}"} for n, row in enumerate(rows)],
    )
    with pytest.warns(DataWarning, match="truncated_labels"):
        read_tasks(tmp_path)
    read_tasks(tmp_path, strict=True, task_settings={"reviews": {"labels": ["y", "n"]}})


def test_the_metric_may_be_chosen(tmp_path: Path) -> None:
    assert read(aimmerging(tmp_path), metric="rouge_l").metric == "rouge_l"
    assert read(distinct(tmp_path / "b"), metric="exact_match").metric == "exact_match"


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (aimmerging, "Nice?\nWhich one? Option: good, bad.\ntrain text 0\nAnswer:"),
        (lambda folder: plain(folder, "{split}/{task}.jsonl"), "Nice?\ntrain text 0"),
        (natural_instructions, "[INS] Nice?\n [IN] train text 0\n [OUT] "),
        (olora, "Nice?\ntrain text 0\nAnswer:"),
    ],
)
def test_an_instruction_stands_first_or_in_the_place_of_the_layouts_own(
    build: Any, expected: str, tmp_path: Path
) -> None:
    """Where it replaces our own words there is nothing left to warn of."""
    (task,) = read_tasks(build(tmp_path), strict=True, task_settings={"reviews": {"instruction": "Nice?"}})
    assert task.train[0].prompt == expected


def test_an_open_task_in_the_layout_of_olora_lists_no_options(tmp_path: Path) -> None:
    (olora(tmp_path) / "CL_Benchmark/SC/reviews/labels.json").unlink()
    with pytest.warns(DataWarning, match="no_instruction"):
        assert read(tmp_path, kind="open").train[0].prompt == "train text 0"


def test_settings_stand_beside_the_files_and_those_given_by_hand_win(tmp_path: Path) -> None:
    write(aimmerging(tmp_path) / "tasks.yaml", "Reviews:\n  kind: open\n  metric: exact_match\n  instruction: Nice?\n")
    (task,) = read_tasks(tmp_path)
    assert (task.labels, task.metric) == (None, "exact_match") and task.train[0].prompt.startswith("Nice?\n")
    task = read(tmp_path, labels=["good", "bad"])
    assert (task.labels, task.metric) == (("good", "bad"), "exact_match") and task.train[0].prompt.startswith("Nice?\n")


def test_settings_may_stand_in_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", "reviews: {kind: open}")
    assert read_tasks(aimmerging(tmp_path / "a"), task_settings=path)[0].labels is None


def test_columns_may_differ_from_task_to_task(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / f"a/{split}.json", [{"x": f"{split} {n}", "y": "zz"} for n in range(4)])
        write(tmp_path / f"b/{split}.json", [{"p": f"{split} {n}", "q": "zz"} for n in range(4)])
    write(tmp_path / "tasks.yaml", "b: {columns: {prompt: p, answer: q}}")
    a, b = read_tasks(tmp_path, task_settings={"a": {"columns": {"prompt": "x", "answer": "y"}}})
    assert a.train[0].prompt == b.train[0].prompt == "train 0"
    with pytest.raises(ValueError, match=r"got records without \['p', 'q'\]"):
        read_tasks(tmp_path, columns={"prompt": "p", "answer": "q"})


def test_a_benchmark_and_an_inspection_take_them_too(tmp_path: Path) -> None:
    settings = {"reviews": {"kind": "open", "metric": "exact_match"}}
    benchmark = standard_cl(["reviews"], tiny_tokenizer("causal"), distinct(tmp_path), task_settings=settings)
    assert benchmark.train_stream[0].task.metric == "exact_match"
    assert inspect_folder(tmp_path, task_settings=settings).tasks[0].metric == "exact_match"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"reviews": {"kind": "maybe"}},
            r"task_settings, task 'reviews', kind: expected one of closed, open, got 'maybe'",
        ),
        (
            {"reviews": {"metric": "f1"}},
            "metric: expected one of exact_match, rouge_l, edit_similarity, first_letter, got 'f1'",
        ),
        ({"reviews": {"instruction": " "}}, "instruction: expected a text"),
        ({"reviews": {"labels": []}}, "labels: expected a list of texts"),
        ({"reviews": {"labels": ["a", "a"]}}, "expected each label once"),
        ({"reviews": {"labels": "ab"}}, "labels: expected a list of texts"),
        ({"reviews": {"labels": [True, False]}}, "expected texts, got True; yes, no, true and false need quotes"),
        ({"reviews": {"labels": ["a"], "kind": "open"}}, "expected kind open or labels, got both"),
        ({"reviews": {"columns": {"prompt": "a"}}}, "task 'reviews', columns: expected the fields"),
        ({"reviews": {"kinds": "open"}}, "expected some of kind, labels, metric, instruction, columns; got"),
        ({"reviews": "open"}, "expected some of kind, labels"),
        ({"reviews": {}, "Re-views": {}}, "expected each task once, got 'Re-views' again"),
        ({"mail": {}}, "task_settings: expected settings of tasks that are there, got mail; there are reviews"),
        ([1], "task_settings: expected settings by task"),
    ],
)
def test_settings_that_are_wrong_are_refused(given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_tasks(aimmerging(tmp_path), task_settings=given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("reviews: {labels: [yes, no]}", r"tasks\.yaml, task 'reviews', labels: expected texts, got True; yes, no"),
        ("mail: {}", r"tasks\.yaml: expected settings of tasks that are there, got mail"),
        ("- reviews", r"tasks\.yaml: expected settings by task"),
        ("reviews: [", r"tasks\.yaml: expected YAML"),
    ],
)
def test_a_file_that_is_wrong_is_named(content: str, message: str, tmp_path: Path) -> None:
    write(aimmerging(tmp_path) / "tasks.yaml", content)
    with pytest.raises(ValueError, match=message):
        read_tasks(tmp_path)


def test_two_files_of_settings_are_one_too_many(tmp_path: Path) -> None:
    write(aimmerging(tmp_path) / "tasks.yaml", "{}")
    write(tmp_path / "tasks.yml", "{}")
    with pytest.raises(ValueError, match=r"expected one file of settings, got .*tasks\.yaml and .*tasks\.yml"):
        read_tasks(tmp_path)


# labels.json beside records that have other labels


def relabelled(
    folder: Path, task: str, listed: list[str], used: tuple[str, ...], build: Any = natural_instructions
) -> Path:
    build(folder, f"Long_Sequence/{task}")
    for path in (folder / f"CL_Benchmark/Long_Sequence/{task}").glob("*.json"):
        text = path.read_text()
        path.write_text(text.replace('"good"', f'"{used[0]}"').replace('"bad"', f'"{used[1]}"'))
    write(folder / f"CL_Benchmark/Long_Sequence/{task}/labels.json", listed)
    return folder


@pytest.mark.parametrize(
    ("listed", "used", "labels"),
    [
        (["False", "True"], ("yes", "no"), ("no", "yes")),
        (["True", "False"], ("no", "yes"), ("yes", "no")),
        (["no", "yes"], ("True", "False"), ("False", "True")),
    ],
)
def test_published_labels_under_other_names_are_those_of_the_records(
    listed: list[str], used: tuple[str, str], labels: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.warns(DataWarning, match=f"other_labels_listed: labels.json lists {', '.join(listed)}, the records"):
        (task,) = read_tasks(relabelled(tmp_path, "qqp", listed, used))
    assert task.labels == labels and {example.answer for example in task.train} == set(used)


@quiet
def test_the_prompts_of_olora_offer_the_labels_of_the_records(tmp_path: Path) -> None:
    (task,) = read_tasks(relabelled(tmp_path, "qqp", ["False", "True"], ("yes", "no"), olora))
    assert "options: no, yes." in task.train[0].prompt


@quiet
def test_other_labels_of_any_other_task_need_a_word_of_the_user(tmp_path: Path) -> None:
    relabelled(tmp_path, "mail", ["False", "True"], ("yes", "no"))
    with pytest.raises(ValueError, match=r"'yes' is not in .*labels\.json; expected one of.*in tasks\.yaml"):
        read_tasks(tmp_path)
    assert read_tasks(tmp_path, task_settings={"mail": {"labels": ["no", "yes"]}})[0].labels == ("no", "yes")
    assert read_tasks(tmp_path, task_settings={"mail": {"labels": {"no": "False", "yes": "True"}}})[0].labels == (
        "False", "True",
    )  # fmt: skip

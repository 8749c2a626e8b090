"""Every layout is recognised from its folder and gives the same kind of task."""

from pathlib import Path

import pytest
from layout_files import BUILDERS, aimmerging, edit, natural_instructions, olora, plain, rows, trace, write

from avalanche_aim.text import DataWarning, TextTask, standard_cl
from avalanche_aim.text.data.layouts import SAMPLE, detect, read_tasks
from avalanche_aim.text.model.tiny import tiny_tokenizer

quiet = pytest.mark.filterwarnings("ignore::avalanche_aim.text.DataWarning")


@pytest.mark.parametrize("name", BUILDERS)
def test_the_folder_says_which_layout_it_is(name: str, tmp_path: Path) -> None:
    assert detect(BUILDERS[name](tmp_path)).name == name


@quiet
@pytest.mark.parametrize("name", BUILDERS)
def test_every_layout_gives_the_same_rows_labels_and_metric(name: str, tmp_path: Path) -> None:
    (task,) = read_tasks(BUILDERS[name](tmp_path), ["Reviews"])
    assert (task.name, task.metric, set(task.labels or ())) == ("Reviews", "exact_match", {"good", "bad"})
    for split in ("train", "dev", "test"):
        assert [example.answer for example in task.split(split)] == [label for _, label in rows(split)]
        for example, (text, _) in zip(task.split(split), rows(split), strict=True):
            assert text in example.prompt


@quiet
@pytest.mark.parametrize("build", [olora, natural_instructions])
def test_cl_benchmark_or_its_parent_will_do(build, tmp_path: Path) -> None:
    assert read_tasks(build(tmp_path), ["reviews"]) == read_tasks(tmp_path / "CL_Benchmark", ["reviews"])


@pytest.mark.parametrize(
    "pattern",
    ["{split}/{task}.json", "{split}/{task}.jsonl", "{task}/{split}.json", "{task}/{split}.jsonl"],
)
def test_a_folder_of_ones_own_may_be_by_split_or_by_task_json_or_json_lines(pattern: str, tmp_path: Path) -> None:
    (task,) = read_tasks(plain(tmp_path, pattern), ["reviews"])
    assert task.train[0].prompt == "train text 0"


@pytest.mark.parametrize(
    ("spelled", "asked"),
    [("sst-2", "SST2"), ("BoolQA", "boolq"), ("task363_sst2_polarity_classification", "363"), ("FOMC", "fomc")],
)
@quiet
def test_a_task_is_found_under_any_spelling(spelled: str, asked: str, tmp_path: Path) -> None:
    assert read_tasks(plain(tmp_path, "{task}/{split}.jsonl", spelled), [asked])[0].name == asked


def test_natural_instructions_are_definition_and_input(tmp_path: Path) -> None:
    (task,) = read_tasks(natural_instructions(tmp_path), ["reviews"])
    assert task.train[0].prompt == "[INS] Good or bad?\n [IN] train text 0\n [OUT] "


@quiet
def test_an_olora_prompt_is_our_instruction_the_options_of_labels_json_and_the_sentence(tmp_path: Path) -> None:
    (task,) = read_tasks(olora(tmp_path, "NLI/own"), ["own"])
    assert task.train[0].prompt == (
        'What is the logical relationship between "sentence 1" and "sentence 2"? '
        "Choose one of the options: good, bad.\ntrain text 0\nAnswer:"
    )
    assert task.labels == ("good", "bad")


def test_all_references_are_kept_and_the_first_is_trained_on(tmp_path: Path) -> None:
    folder = natural_instructions(tmp_path, "SuperNI/task1590_diplomacy")
    path = folder / "CL_Benchmark/SuperNI/task1590_diplomacy/train.json"
    edit(path, lambda data: {**data, "Instances": [{"input": "a", "output": ["one", "two"]}, *data["Instances"]]})
    (task,) = read_tasks(folder, ["task1590"])
    assert task.train[0].references == ("one", "two") and task.train[0].answer == "one"


def test_known_open_tasks_are_open_though_their_answers_repeat(tmp_path: Path) -> None:
    (task,) = read_tasks(plain(tmp_path, "{task}/{split}.json", "task073_commonsense"), ["task073"])
    assert task.labels is None and task.metric == "rouge_l"


def test_known_closed_tasks_are_closed_though_their_rows_are_few(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        output = {"train": ("POS", "NEG"), "dev": ("POS",), "test": ("NEG",)}[split]
        records = [{"input": f"[INS] x\n [IN] {split} {n}\n [OUT] ", "output": text} for n, text in enumerate(output)]
        write(tmp_path / split / "task363_T5.json", records)
    (task,) = read_tasks(tmp_path, ["task363"])
    assert task.labels == ("NEG", "POS") and task.metric == "exact_match"


def test_placeholder_rows_stay_under_a_class_of_their_own_with_a_warning(tmp_path: Path) -> None:
    path = olora(tmp_path) / "CL_Benchmark/SC/reviews/train.json"
    edit(path, lambda records: [*records, {"sentence": "no agreement", "label": "-"}])
    with pytest.warns(DataWarning) as warned:
        (task,) = read_tasks(tmp_path, ["reviews"])
    assert any("placeholder_labels: 1 of 9 train rows, 0 of 8 dev rows" in str(one.message) for one in warned)
    assert task.labels == ("good", "bad", "-") and task.train[-1].answer == "-"


@quiet
def test_unknown_tasks_with_distinct_answers_are_open(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        write(tmp_path / split / "own.json", [{"input": f"q{n}", "output": f"a{n}"} for n in range(9)])
    (task,) = read_tasks(tmp_path, ["own"])
    assert task.labels is None and task.metric == "rouge_l"


def test_the_eval_split_of_trace_is_dev(tmp_path: Path) -> None:
    (task,) = read_tasks(trace(tmp_path), ["FOMC"])
    assert task.dev[0].prompt == "dev text 0"


def test_the_shipped_sample_has_no_trap() -> None:
    tasks = read_tasks(SAMPLE, ["news", "reviews", "questions", "entities"], strict=True)
    assert all(task.labels for task in tasks)


def test_a_benchmark_reads_any_layout(tmp_path: Path) -> None:
    benchmark = standard_cl(order=["reviews"], tokenizer=tiny_tokenizer("causal"), data=aimmerging(tmp_path))
    assert [experience.task_name for experience in benchmark.train_stream] == ["reviews"]


def test_a_task_can_be_made_from_lists() -> None:
    task = TextTask.from_lists("own", train=[("a", "x"), ("b", "y")] * 4, test=[("c", "x")])
    assert task.labels == ("x", "y") and task.dev == () and task.metric == "exact_match"
    task = TextTask.from_lists("own", train=[("a", "x")], test=[("c", ["y", "z"])])
    assert task.labels is None and task.metric == "rouge_l" and task.test[0].references == ("y", "z")
    assert TextTask.from_lists("own", [("a", "x")], [("b", "y")], labels=["y", "x"]).labels == ("y", "x")


@pytest.mark.parametrize("pair", [("only a prompt",), ("prompt", 3), ("prompt", []), "ab", (1, "answer")])
def test_a_pair_that_is_none_is_refused_by_its_number(pair: object) -> None:
    with pytest.raises(ValueError, match=r"'own', test example 1: expected a pair \(prompt, answer\)"):
        TextTask.from_lists("own", train=[("a", "x")], test=[("b", "x"), pair])  # type: ignore[list-item]


def test_json_and_json_lines_may_stand_side_by_side(tmp_path: Path) -> None:
    plain(plain(tmp_path, "{split}/{task}.json", "one"), "{split}/{task}.jsonl", "other")
    assert [task.name for task in read_tasks(tmp_path, ["one", "other"])] == ["one", "other"]

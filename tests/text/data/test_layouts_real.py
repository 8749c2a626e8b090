"""The published files themselves; skipped where they are absent."""

import pytest
from layout_files import REAL_DATA, needs_real_data

from avalanche_aim.text.data.layouts import detect, read_tasks
from avalanche_aim.text.data.tasks import TextTask

pytestmark = [
    pytest.mark.real_data,
    needs_real_data,
    pytest.mark.filterwarnings("ignore::avalanche_aim.text.DataWarning"),
]


def read(folder: str, *names: str) -> list[TextTask]:
    return read_tasks(REAL_DATA / folder, names)


def bodies(task: TextTask, split: str) -> list[tuple[str, str]]:
    """Rows without the part of the prompt that says what to do: the text between instruction and cue, and the label."""
    found = []
    for example in task.split(split):
        if example.prompt.startswith(("[INS]", "[IN]")):
            text = example.prompt.partition("[IN] ")[2].removesuffix("\n [OUT] ")
        else:
            text = example.prompt.partition("\n")[2].removesuffix("\nAnswer:")
        found.append((text, example.answer))
    return found


@pytest.mark.parametrize(("folder", "metrics"), [
    ("data_longsequence", {"exact_match": 15, "rouge_l": 0}),
    ("data_superni", {"exact_match": 3, "rouge_l": 12}),
])  # fmt: skip
def test_all_fifteen_tasks_are_read(folder: str, metrics: dict[str, int]) -> None:
    path = REAL_DATA / folder
    tasks = read(folder, *detect(path).tasks(path))
    assert {metric: sum(task.metric == metric for task in tasks) for metric in metrics} == metrics
    assert all((task.labels is None) == (task.metric == "rouge_l") for task in tasks)


@pytest.mark.parametrize("name", ["cb", "copa"])
def test_the_three_layouts_agree_on_cb_and_copa(name: str) -> None:
    """What agrees: the label set; text and label of every train and dev row between instruction and cue.

    What differs: the instruction; the order of the rows in AIMMerging's files (O-LoRA and SAPT share theirs); and the
    test rows, of which the AIMMerging folder holds a part here, all of them among the others' test rows.
    """
    (aim,), (olora,), (sapt,) = (read(f, name) for f in ("data_longsequence", "layout_olora", "layout_sapt"))
    assert set(aim.labels or ()) == set(olora.labels or ()) == set(sapt.labels or ())
    for split in ("train", "dev", "test"):
        assert bodies(olora, split) == bodies(sapt, split)
    for split in ("train", "dev"):
        assert sorted(bodies(aim, split)) == sorted(bodies(olora, split))
        assert bodies(aim, split) != bodies(olora, split)
    assert set(bodies(aim, "test")) < set(bodies(olora, "test"))


@pytest.mark.parametrize("name", ["task363", "task639", "task1590"])
def test_the_natural_instructions_template_gives_the_aimmerging_prompts(name: str) -> None:
    """The same prompts in another order; the answers too, but for task363, which AIMMerging's files cut."""
    (aim,), (sapt,) = read("data_superni", name), read("layout_sapt", name)
    cut = 1 if name == "task363" else None
    for split in ("train", "dev"):
        mine = sorted((example.prompt, example.answer) for example in aim.split(split))
        assert mine == sorted((example.prompt, example.answer[:cut]) for example in sapt.split(split))
    assert {example.prompt for example in aim.test} < {example.prompt for example in sapt.test}

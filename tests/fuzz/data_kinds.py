"""Kinds of bad input about text data: files in every layout, tasks, orders, rows of the Hub."""

import io
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from damage import JUNK, ODD, TEXTS, WHOLES, Folder, bytes_of, changes_of, edited, put, to_json
from hypothesis import strategies as st
from promise import Broken, Kind, command

from avalanche_aim.text import TextTask
from avalanche_aim.text.data.hub import read_hub_task
from avalanche_aim.text.data.layouts import read_tasks
from avalanche_aim.text.data.orders import LONG_SEQUENCE, STANDARD_CL, SUPERNI, resolve_order
from avalanche_aim.text.model.tiny import tiny_tokenizer

SPLITS = ("train", "dev", "test")


def _rows(split: str, prompt: str, answer: str, closed: bool = True) -> list[dict[str, Any]]:
    answers = ("good", "bad") if closed else (f"{split} one", f"{split} two")
    return [{prompt: f"{split} text {n}", answer: answers[n % 2]} for n in range(6)]


def _lines(records: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


def _chats(split: str) -> list[dict[str, Any]]:
    texts = [(row["text"], row["label"]) for row in _rows(split, "text", "label")]
    return [{"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}
            for ask, answer in texts]  # fmt: skip


def _csv(split: str) -> bytes:
    return b"text,label\n" + b"\n".join(f'"{split}, ""{n}""\nmore",{("good", "bad")[n % 2]}'.encode() for n in range(6))


def _parquet(split: str) -> bytes:
    from pyarrow import Table
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(Table.from_pylist(_rows(split, "text", "label")), file)
    return file.getvalue()


LAYOUTS: dict[str, dict[str, bytes]] = {
    "AIMMerging": {f"{s}/{task}_T5.json": to_json(_rows(s, "input", "output", task == "imdb"))
                   for s in SPLITS for task in ("imdb", "own")},
    "O-LoRA": {"CL_Benchmark/SC/imdb/labels.json": to_json(["good", "bad"])}
    | {f"CL_Benchmark/SC/imdb/{s}.json": to_json(_rows(s, "sentence", "label")) for s in SPLITS},
    "Natural-Instructions": {f"CL_Benchmark/Own/imdb/{s}.json":
                             to_json({"Definition": ["Which?"], "Instances": _rows(s, "input", "output")})
                             for s in SPLITS},
    "TRACE": {f"imdb/{s}.json": to_json(_rows(s, "prompt", "answer")) for s in ("train", "eval", "test")},
    "plain": {f"{s}/imdb.jsonl": _lines(_rows(s, "input", "output")) for s in SPLITS},
    "plain, by task": {f"imdb/{s}.json": to_json(_rows(s, "input", "output")) for s in SPLITS},
    "CSV": {f"{s}/imdb.csv": _csv(s) for s in SPLITS},
    "Parquet": {f"imdb/{s}.parquet": _parquet(s) for s in SPLITS},
    "alpaca": {f"imdb/{s}.jsonl": _lines([{"instruction": "Which?", "system": "", **row}
                                          for row in _rows(s, "input", "output")]) for s in SPLITS},
    "chats": {f"{s}/imdb.json": to_json(_chats(s)) for s in SPLITS},
}  # fmt: skip
"""A whole folder in each layout."""


@cache
def _tokenizer() -> Any:
    tokenizer = tiny_tokenizer("causal")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'robot' %}{{ raise_exception('no') }}{% endif %}"
        "<{{ m['role'] }}>{{ m['content'] | trim }}{% endfor %}<assistant>"
    )
    return tokenizer


def _read(given: Any, folder: Path) -> None:
    _check_tasks(read_tasks(folder, ["imdb"], tokenizer=_tokenizer()))


# What is said of tasks

SETTINGS = {"imdb": {"labels": {"good": "Good", "bad": "Bad"}, "kind": "closed", "metric": "exact_match",
                     "instruction": "Which?", "columns": {"prompt": ["text"], "answer": "label"}},
            "own": {"kind": "open", "columns": {"prompt": "text", "answer": "label"}}}  # fmt: skip
OWN = {f"{task}/{s}.json": to_json(_rows(s, "text", "label", task == "imdb"))
       for task in ("imdb", "own") for s in SPLITS}  # fmt: skip
YAML_TRICKS = [b"imdb: {labels: [yes, no]}", b"imdb: &a {labels: *a}", b"imdb: !!python/name:os.system", b"? [a]\n: b",
               b"imdb: 2026-99-99", b"1: {}", b"imdb: {labels: {1: a, 2: a}}",
               b"imdb: {kind: open}\nImdb: {}"]  # fmt: skip


def _read_all(given: Any, folder: Path) -> None:
    _check_tasks(read_tasks(folder))


def _put_settings(given: Any, folder: Path) -> None:
    put({**OWN, "tasks.yaml": given}, folder)


def _read_with(given: dict[str, Any], folder: Path) -> None:
    _check_tasks(read_tasks(folder, **given))


def _read_objects(given: Any, folder: Path) -> None:
    _check_tasks(read_tasks(given, tokenizer=_tokenizer()))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


OBJECTS = {"imdb": {s: _rows(s, "text", "label") for s in SPLITS}, "chats": {s: _chats(s)[:2] for s in SPLITS}}
COLUMNS = st.one_of(edited([{"prompt": ["text", "x"], "answer": "label"}]), edited([{"messages": "messages"}]), JUNK)
SAID = st.fixed_dictionaries(
    {}, optional={"columns": COLUMNS.map(_first), "task_settings": st.one_of(edited([SETTINGS]).map(_first), JUNK)}
)


def _check_tasks(tasks: Iterable[TextTask]) -> None:
    for task in tasks:
        for split in SPLITS:
            for example in task.split(split):
                texts = (example.prompt, *example.references)
                if not example.references or not all(isinstance(text, str) for text in texts):
                    raise Broken(f"result: an example of {texts!r:.80}")
                "".join(texts).encode()  # what no tokenizer takes


def _inspect(given: Any, folder: Path) -> None:
    if not isinstance(json.loads(command("inspect", str(folder), "--json")), dict):
        raise Broken("result: no object")
    command("inspect", str(folder), "--strict")


def _files(layout: str) -> Kind:
    whole = LAYOUTS[layout]
    return Kind(f"data: {layout}", changes_of(whole), _read, lambda changes, to: put({**whole, **changes}, to), share=3)


NAMES = st.sampled_from(
    ["train", "dev", "test", "eval", "CL_Benchmark", "SC", "imdb", "labels", "imdb_T5", "tasks", "val", "__MACOSX", "x"]
)
ENDINGS = st.sampled_from(["", ".json", ".jsonl", ".csv", ".parquet", ".JSON", ".json.gz", ".txt", ".yaml"])
PATHS = st.builds(lambda names, ending: "/".join(names) + ending, st.lists(NAMES, min_size=1, max_size=4), ENDINGS)


@st.composite
def foreign_folder(draw: st.DrawFn) -> Folder:
    """Any files under names of benchmarks."""
    content = st.one_of(
        st.sampled_from(WHOLES),
        st.sampled_from(ODD),
        st.sampled_from([c for f in LAYOUTS.values() for c in f.values()]),
    )
    return draw(st.dictionaries(PATHS, content, max_size=5))


def _from_lists(given: dict[str, Any], folder: Path) -> None:
    _check_tasks([TextTask.from_lists(**given)])


TASK = {"name": "imdb", "train": [["a", "good"], ["b", ["bad", "worse"]]], "test": [["c", "bad"]], "dev": [],
        "labels": ["good", "bad"], "metric": None}  # fmt: skip


@st.composite
def task_arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of ``TextTask.from_lists``, some of another type."""
    return {**TASK, **{name: draw(edited([TASK[name]]).map(lambda v: v[0] if isinstance(v, list) and v else v))
                       for name in draw(st.sets(st.sampled_from(sorted(TASK)), max_size=2))}}  # fmt: skip


def _resolve(given: Any, folder: Path) -> None:
    for orders, first in ((STANDARD_CL, 1), (LONG_SEQUENCE, 4), (SUPERNI, 1)):
        tasks = resolve_order(given, orders, first)
        if not tasks or not all(isinstance(task, str) and task for task in tasks):
            raise Broken(f"result: {tasks!r}")


TASK_NAMES = st.sampled_from(
    [*STANDARD_CL, *LONG_SEQUENCE["mnli-first"], "task002", "002", "2", "SST-2", "é", "٣", "²"]
)
ORDERS = st.one_of(JUNK, TASK_NAMES, st.lists(st.one_of(TASK_NAMES, TEXTS), max_size=4), st.tuples(JUNK), st.binary())


class _Rows(list):
    """What ``datasets`` gives, as far as reading needs it."""

    def shuffle(self, seed: int) -> "_Rows":
        return self

    def select(self, chosen: Iterable[int]) -> "_Rows":
        return _Rows(self[row] for row in chosen)


def _read_hub(given: list[Any], folder: Path) -> None:
    _check_tasks([read_hub_task("imdb", lambda *path, split: _Rows(given))])


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


HUB_ROWS = [{"text": f"text {n}", "label": n % 2} for n in range(12)]

KINDS = (
    *map(_files, LAYOUTS),
    Kind("tasks.yaml", st.one_of(edited([SETTINGS]).map(_first).map(to_json),
                                 bytes_of(to_json(SETTINGS)), st.sampled_from([*YAML_TRICKS, *WHOLES, *ODD])),
         _read_all, _put_settings, share=3),
    Kind("columns and settings of tasks", SAID, _read_with, lambda said, to: put(OWN, to),
         names=("columns", "task_settings", "settings"), share=3),
    Kind("records in memory", edited([OBJECTS]).map(_first).filter(lambda data: isinstance(data, dict)),
         _read_objects, names=("task", "data"), share=3),
    Kind("data: any files", foreign_folder(), _read, put, share=2),
    Kind("inspect: damaged files", changes_of(LAYOUTS["AIMMerging"]), _inspect,
         lambda changes, to: put({**LAYOUTS["AIMMerging"], **changes}, to)),
    Kind("inspect: any files", foreign_folder(), _inspect, put),
    Kind("task from lists", task_arguments(), _from_lists, names=("task", "metric", "labels")),
    Kind("task order", ORDERS, _resolve, names=("order",), share=2),
    Kind("rows of the hub", edited(HUB_ROWS).filter(_are_rows), _read_hub,
         names=("imdb", "task")),
)  # fmt: skip

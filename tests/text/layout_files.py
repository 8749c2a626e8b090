"""Small benchmark folders in every layout, written by the tests."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

REAL_DATA = Path(os.environ.get("AIM_DATA", Path(__file__).parents[3] / "shared" / "data"))

needs_real_data = pytest.mark.skipif(
    not REAL_DATA.is_dir(), reason=f"the published benchmark files are not in {REAL_DATA}; set AIM_DATA"
)

SPLITS = ("train", "dev", "test")
LABELS = ("good", "bad")


def rows(split: str, labels: tuple[str, ...] = LABELS, count: int = 8) -> list[tuple[str, str]]:
    """Texts with their labels, different in every split."""
    return [(f"{split} text {n}", labels[n % len(labels)]) for n in range(count)]


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def aimmerging(folder: Path, task: str = "reviews", labels: tuple[str, ...] = LABELS, ending: str = "_T5") -> Path:
    options = ", ".join(labels)
    for split in SPLITS:
        records = [
            {"id": n, "input": f"Which one? Option: {options}.\n{text}\nAnswer:", "output": label}
            for n, (text, label) in enumerate(rows(split, labels))
        ]
        write(folder / split / f"{task}{ending}.json", records)
    return folder


def olora(folder: Path, task: str = "SC/reviews", labels: tuple[str, ...] = LABELS) -> Path:
    for split in SPLITS:
        records = [{"sentence": text, "label": label} for text, label in rows(split, labels)]
        write(folder / "CL_Benchmark" / task / f"{split}.json", records)
    write(folder / "CL_Benchmark" / task / "labels.json", list(labels))
    return folder


def natural_instructions(folder: Path, task: str = "Own/reviews", definition: str = "Good or bad?") -> Path:
    for split in SPLITS:
        instances = [{"input": text, "output": label} for text, label in rows(split)]
        write(
            folder / "CL_Benchmark" / task / f"{split}.json",
            {"Definition": [definition] if definition else [], "Positive Examples": [], "Instances": instances},
        )
    return folder


def trace(folder: Path, task: str = "FOMC") -> Path:
    for split in SPLITS:
        records = [{"prompt": text, "answer": label} for text, label in rows(split)]
        write(folder / task / f"{'eval' if split == 'dev' else split}.json", records)
    return folder


def plain(folder: Path, pattern: str, task: str = "reviews") -> Path:
    """``pattern`` such as "{split}/{task}.jsonl"."""
    for split in SPLITS:
        records = [{"input": text, "output": label} for text, label in rows(split)]
        path = folder / pattern.format(split=split, task=task)
        write(path, "\n".join(map(json.dumps, records)) if path.suffix == ".jsonl" else records)
    return folder


BUILDERS = {
    "AIMMerging": aimmerging,
    "O-LoRA": olora,
    "SAPT / Natural-Instructions": natural_instructions,
    "TRACE": lambda folder: trace(folder, "reviews"),
    "plain": lambda folder: plain(folder, "{split}/{task}.jsonl"),
}


def edit(path: Path, change: Any) -> None:
    """Change the content of a JSON file: ``change`` gets it and returns the new one."""
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")

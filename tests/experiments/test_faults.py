"""What goes wrong in a comparison: full disks, diverging runs, broken examples, Ctrl-C. What is finished stays."""

import errno
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from avalanche.training.plugins import SupervisedPlugin
from peft import PeftModel

from avalanche_aim import LanguageModel
from avalanche_aim.__main__ import main
from avalanche_aim.experiments import Comparison, Configuration, Key, RunStore, Settings, comparison, run
from avalanche_aim.experiments.cost import CostMeter
from avalanche_aim.text import TextExample, TextTask, text_benchmark

Make = Callable[..., Configuration]
TINY = ["run", "--model", "tiny", "--precision", "fp32", "--device", "cpu", "--order", "news,reviews",
        "--train-per-task", "4", "--eval-per-task", "2", "--batch-size", "4", "--memory", "2"]  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def compare(configuration: Make, tmp_path: Path) -> Callable[..., Comparison]:
    """Run a comparison of seconds in one folder."""

    def make(**changes: Any) -> Comparison:
        chosen = {"strategies": ("naive", "replay"), "train_per_task": 4, "eval_per_task": 2, **changes}
        made = Comparison(configuration(**chosen), tmp_path / "out")
        made.run(progress=False)
        return made

    return make


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], list[Path]]:
    """Let the disk be full at the first writes of files with a name; a write there leaves half a file behind."""

    def fill(name: str, times: int) -> list[Path]:
        failed: list[Path] = []
        open_ = Path.open

        def full(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not {"x", "w"} & set(mode) or name not in self.name or len(failed) == times:
                return open_(self, mode, *args, **kwargs)
            failed.append(self)
            file = open_(self, mode, *args, **kwargs)
            file.write(b"half")
            file.flush()
            file.close()
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "open", full)
        return failed

    return fill


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# A full disk


@pytest.mark.parametrize("name", ["R_naive", ".naive"])
def test_a_result_that_cannot_be_written_is_written_after_the_next_run(
    name: str,
    compare: Callable[..., Comparison],
    full_disk: Callable[[str, int], list[Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = full_disk(name, 1)
    made = compare()
    assert len(failed) == 1
    assert "naive, order news,reviews, seed 0 can't be saved ([Errno 28] No space left" in capsys.readouterr().out
    assert made.problems == []
    assert [run["strategy"] for run in json.loads((tmp_path / "out" / "results.json").read_text())["runs"]] == [
        "naive",
        "replay",
    ]
    assert not [file for file in files(tmp_path) if Path(file).name.startswith(".")]


def test_what_cannot_be_written_at_all_is_told_and_the_rest_stays(
    compare: Callable[..., Comparison], full_disk: Callable[[str, int], list[Path]], tmp_path: Path
) -> None:
    full_disk("replay", 99)
    made = compare()
    assert [result.strategy for result in made.results] == ["naive", "replay"]
    assert made.problems == ["replay, order news,reviews, seed 0 is not saved"]
    assert [r.strategy for r in RunStore(tmp_path / "out").load()[0]] == ["naive"]
    left = [file for file in files(tmp_path / "out" / "runs") if "replay" in file]
    assert [Path(file).suffix for file in left] == [".lock"]


def test_a_summary_that_cannot_be_written_ends_with_status_one_and_the_table(
    full_disk: Callable[[str, int], list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full_disk("results.json", 99)
    assert main([*TINY, "--strategies", "naive", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "results.json is not written: [Errno 28]" in printed.err
    assert "| naive" in printed.out
    assert "results.json" not in files(tmp_path)


def test_plots_that_cannot_be_written_end_with_status_one_and_the_table(
    full_disk: Callable[[str, int], list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full_disk(".png", 99)
    assert main([*TINY, "--strategies", "naive", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "not all plots are written: [Errno 28]" in printed.err
    assert "| naive" in printed.out
    assert not [file for file in files(tmp_path) if "png" in file]


def test_a_history_that_cannot_be_written_leaves_the_old_one(
    history: Any, full_disk: Callable[[str, int], list[Path]], tmp_path: Path
) -> None:
    history.write(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    history.iterations.clear()
    full_disk("history.json", 1)
    with pytest.raises(OSError, match="No space left"):
        history.write(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


# Training that fails


class NaNLoss(SupervisedPlugin):
    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        strategy.loss = strategy.loss * math.nan


@pytest.mark.parametrize("name", ["naive", "aim"])
def test_a_run_that_diverges_has_failed(
    name: str, compare: Callable[..., Comparison], monkeypatch: pytest.MonkeyPatch
) -> None:
    from avalanche_aim.experiments import runner

    monkeypatch.setattr(runner, "LearningRateSchedule", lambda *_: NaNLoss())
    (failure,) = compare(strategies=(name,)).failures
    assert failure.error.startswith(
        "FloatingPointError: training has made the weights non-finite in experience 0; lower"
    )
    assert failure.error.endswith("(while training on task news (experience 0))")


def test_an_error_in_an_example_names_task_and_row(llama: LanguageModel) -> None:
    def task(name: str) -> TextTask:
        examples = tuple(TextExample(f"{name} {i}:", ("yes" if i % 2 else "no",)) for i in range(6))
        return TextTask(name, examples, examples, examples, ("yes", "no"))

    benchmark = text_benchmark([task("first"), task("second")], llama.tokenizer, cache=False)
    data = benchmark.train_stream[1].dataset
    flat = type(data._flat_data._datasets[0])
    take = flat.__getitem__
    broken = data._flat_data._datasets[0]

    def getitem(self: Any, row: Any) -> Any:
        item = take(self, row)
        if self is broken and row == 4:
            raise OSError("no such picture")
        return item

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "__getitem__", getitem)
        with pytest.raises(OSError, match="no such picture") as raised:
            run(Key("naive"), llama, benchmark, Settings(batch_size=2))
    assert raised.value.__notes__ == ["while training on task second (experience 1), loading row 4 of 6"]


def test_an_error_in_an_evaluation_says_so(llama: LanguageModel, streams: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from avalanche.training import Naive

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Naive, "eval", fail)
    with pytest.raises(RuntimeError) as raised:
        run(Key("naive"), llama, streams["tiny"], Settings(batch_size=4))
    assert raised.value.__notes__ == ["while evaluating after task moods (experience 0)"]


# Ctrl-C


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the naive strategy once; return the comparison's folder. Copy it before use."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVALANCHE_AIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert main([*TINY, "--save-models", "--out", str(folder), "--strategies", "naive"]) == 0
    return folder


@pytest.mark.parametrize("where", ["training", "evaluation", "save", "model"])
def test_ctrl_c_ends_with_status_130_and_one_line_and_what_is_finished_stays(
    where: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    arguments = [*TINY, "--save-models", "--out", str(tmp_path)]
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    capsys.readouterr()
    with monkeypatch.context() as patch:
        if where == "training":
            patch.setattr(CostMeter, "after_training_iteration", interrupt)
        elif where == "evaluation":
            patch.setattr(CostMeter, "before_eval", interrupt, raising=False)
        elif where == "save":
            replace = Path.replace
            patch.setattr(Path, "replace", lambda p, to: interrupt() if "json" in p.name else replace(p, to))
        else:
            patch.setattr(comparison, "save_trained", interrupt)
        assert main([*arguments, "--strategies", "naive", "replay"]) == 130
    lines = [line for line in capsys.readouterr().err.splitlines() if "interrupted" in line]
    assert lines == ["avalanche_aim run: interrupted; every run that had ended is kept, the same command goes on"]
    now = {name: (tmp_path / name).read_bytes() for name in files(tmp_path) if "replay" not in name}
    assert now == before
    assert not [name for name in files(tmp_path) if Path(name).name.startswith(".")]
    assert main([*arguments, "--strategies", "naive", "replay"]) == 0


def test_ctrl_c_in_a_report_ends_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from avalanche_aim.cli import report

    monkeypatch.setattr(report, "write_report", interrupt)
    assert main(["report", "."]) == 130
    assert capsys.readouterr().err == "avalanche_aim report: interrupted\n"


# Trained models beside the results


def test_models_are_saved_beside_results_with_a_card_of_them(
    compare: Callable[..., Comparison], configuration: Make, tmp_path: Path
) -> None:
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(tmp_path / "base")
    made = compare(model=str(tmp_path / "base"), strategies=("naive", "aim"), save_models=True)
    stems = {path.stem for path in (tmp_path / "out" / "runs").glob("*.json") if not path.stem.startswith("history")}
    assert {path.name for path in (tmp_path / "out" / "models").iterdir()} == stems
    for result in made.results:
        (folder,) = (tmp_path / "out" / "models").glob(f"{result.strategy}_*")
        card = (folder / "README.md").read_text()
        assert yaml.safe_load(card.split("---\n")[1])["library_name"] == "peft"
        assert f"| 1 | news | {result.r[-1][0]:.1f} |\n| 2 | reviews | {result.r[-1][1]:.1f} |" in card
        said = (f"- strategy: {result.strategy}", "- order: news,reviews", "- OP: ", "- BWT: ", "- learning_rate: ")
        assert [text for text in said if text not in card] == []
        base = LanguageModel.from_pretrained(str(tmp_path / "base"), lora=False).language_model
        weights = PeftModel.from_pretrained(base, folder).state_dict()
        assert any(bool(w.any()) for name, w in weights.items() if "lora_B" in name)


def test_a_model_that_cannot_be_saved_costs_no_result(
    compare: Callable[..., Comparison], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LanguageModel, "save_pretrained", full)
    made = compare(save_models=True, strategies=("naive",))
    assert [result.strategy for result in RunStore(tmp_path / "out").load()[0]] == ["naive"]
    assert made.problems == [
        "the model of naive, order news,reviews, seed 0 is not saved: [Errno 28] No space left on device"
    ]


def test_models_may_be_asked_for_later_and_finished_runs_stay(
    compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    compare(strategies=("naive",))
    compare(strategies=("naive", "replay"), save_models=True)
    assert [path.name.split("_")[0] for path in (tmp_path / "out" / "models").iterdir()] == ["replay"]

"""Kinds of bad input about comparisons: configurations, command lines, histories, run folders."""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from damage import JUNK, NUMBERS, TEXTS, WHOLES, bytes_of, changes_of, edited, put
from hypothesis import strategies as st
from promise import Broken, Kind, command

from avalanche_aim.experiments import Configuration, Cost, Failure, Key, Result, RunStore
from avalanche_aim.experiments.comparison import Comparison
from avalanche_aim.experiments.models import LanguageModels
from avalanche_aim.merging import History, Merge, MergeRecord, MonitorRecord
from avalanche_aim.report.signal_plots import signal_plot
from avalanche_aim.text import LanguageModel
from avalanche_aim.text.model.sources import DEFAULT_MODEL, hub, resolve_model

# Configurations

PLAIN = {
    **Configuration(model="tiny", device="cpu", train_per_task=4, eval_per_task=2, precision="fp32").plain(),
    "options": {"aim": {"learning": {"window": 5}}, "replay": {}},
}
FIELDS = (*PLAIN, "order", "options of", "configuration", "recipe")
CLOSE = st.one_of(
    NUMBERS,
    st.sampled_from(["aim", "naive", "superni", "sample", "dev", "fp16", "tiny", "cosine", "cuda", "cuda:99", "meta",
                     "mps", "cpu", "news,reviews", "1", 1, 2, True, None, "0.02", [], {}, ["aim", "aim"]]),
)  # fmt: skip
"""Values that are right for some field."""


@st.composite
def settings(draw: st.DrawFn) -> dict[Any, Any]:
    """Settings by name, some wrong."""
    chosen = draw(st.dictionaries(st.sampled_from(sorted(PLAIN)), st.one_of(CLOSE, CLOSE, JUNK), max_size=2))
    if draw(st.integers(0, 3)) == 3:
        name = draw(st.sampled_from(sorted(PLAIN)))
        chosen[name] = draw(
            edited([PLAIN[name]]).map(lambda value: value[0] if isinstance(value, list) and value else value)
        )
    return {
        **PLAIN,
        **chosen,
        **draw(st.dictionaries(TEXTS, JUNK, max_size=1) if draw(st.integers(0, 4)) == 4 else st.just({})),
    }


def _configure(given: Any, folder: Path) -> None:
    configuration = Configuration.of(given)
    for plain in (configuration.plain(), *map(configuration.of_run, configuration.strategies)):
        if json.loads(json.dumps(plain, allow_nan=False)) != plain:  # or finished runs can't be kept, or found again
            raise Broken(f"result: JSON changes {plain}")


TRICKS = [
    "model: !!python/object/apply:os.system ['touch pwned']",
    "model: !!python/name:os.system",
    "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(9)) + "\noptions: *j",
    "options: &a {aim: *a}", "options: &a [*a]", "seeds: &a [*a]", "epochs: 2026-99-99", "epochs: 2026-01-01",
    "epochs: 1\nepochs: 2", "? [a]\n: b", "? {a: b}\n: c", "epochs: 1:30", "epochs: 0o17", "memory: .nan",
    "seeds: !!set {0}",
    "model: !!binary aGVsbG8=", "<<: {epochs: 2}", "<<: 3", "--- 1\n--- 2", "%YAML 9.9\n---\nepochs: 1", "*nobody",
    "epochs: *e",
    "options: {aim: {seed: 2026-01-01}}", "options: {aim: {learning: {window: .inf}}}", "options: {1: {}}",
    "options: {aim: {1: 2}}",
    "max_grad_norm: .inf", "- epochs", "epochs", "epochs: |\n  3", "device: cuda", "1: 2", "epochs: " + "[" * 3000,
    "{" * 3000,
    "orders: {1: 2}", "orders: [[1]]", "orders: [null]", "stream: ''", "options: !!omap [aim: {}]", "strict: yes",
    "fwt: 'no'", "recipe: paper", "recipe: ''", "recipe: [paper]", "lora: false\nlora_rank: 4",
    "model: features\nlora_rank: 4",
    "benchmark: digits", "benchmark: digits\ndata: x", "plugins: [x.py]", "lora_targets: all-linear", "optimizer: ''",
]  # fmt: skip
YAML = yaml.safe_dump(PLAIN).encode()
SETTINGS_FILES = st.one_of(
    settings().map(lambda values: yaml.safe_dump(values, allow_unicode=True).encode("utf-8", "surrogatepass")),
    bytes_of(YAML),
    st.sampled_from(TRICKS).map(str.encode),
    st.sampled_from(TRICKS).flatmap(lambda text: bytes_of(text.encode(), most=1)),
    st.sampled_from(WHOLES),
    st.sampled_from(["folder", "loop", "dangling", "unreadable", "missing"]),
)


@cache
def _tiny() -> LanguageModel:
    return LanguageModel.from_pretrained("tiny")


def _load(models: LanguageModels, seed: int) -> LanguageModel:
    name = models.configuration.model
    if name not in ("tiny", "tiny-t5", DEFAULT_MODEL):  # the last would be fetched
        resolve_model(name)
    return _tiny()


def _run(*arguments: str, out: Path) -> None:
    """Call ``run`` up to where training would begin."""
    with (patch.object(Comparison, "run"), patch.object(LanguageModels, "_load", _load),
          patch.object(hub, "HF_HUB_OFFLINE", True)):  # fmt: skip
        command("run", *arguments, "--out", str(out))
    if (out / "pwned").exists() or Path("pwned").exists():
        raise Broken("result: something was executed")


def _run_file(given: Any, folder: Path) -> None:
    _run("--config", str(folder / "settings.yaml"), out=folder / "out")


FLAGS = ("--benchmark", "--data", "--order", "--model", "--strategies", "--seeds", "--epochs", "--batch-size",
"--learning-rate",
         "--memory", "--train-per-task", "--eval-per-task", "--stream", "--fwt", "--no-fwt", "--max-prompt-tokens",
         "--precision", "--micro-batch-size", "--max-grad-norm", "--schedule", "--warmup", "--gradient-checkpointing",
         "--device", "--strict", "--options", "--config", "--sed", "--nonsense", "--recipe", "--lora-rank", "--no-lora",
         "--lora-targets", "--optimizer", "--weight-decay", "--memory-per-label", "--encoder",
         "--plugins", "--")  # fmt: skip
WORDS = st.one_of(
    CLOSE.map(str), TEXTS, st.sampled_from(["NaN", "1e999", "-1", "9" * 5000, "[" * 20000, '{"aim": {"window": 1e999}}',
                                            '{"aim": NaN}', "1,1", ",", "news,", "/dev/null", ".", "~nobody", "0x10",
                                            "1_0"])
)  # fmt: skip


@st.composite
def flags(draw: st.DrawFn) -> list[str]:
    """Flags of ``run`` with values."""
    chosen = draw(st.lists(st.tuples(st.sampled_from(FLAGS), st.lists(WORDS, max_size=2)), min_size=1, max_size=3))
    return [word for flag, words in chosen for word in (flag, *words)]


SMALL = ("--model", "tiny", "--train-per-task", "4", "--eval-per-task", "2", "--device", "cpu", "--precision", "fp32")


def _run_flags(given: list[str], folder: Path) -> None:
    _run(*SMALL, *given, out=folder / "out")


def _others(given: list[str], folder: Path) -> None:
    command(*given)


OTHERS = st.builds(
    lambda name, words: [*name, *words],
    st.sampled_from([[], ["inspect"], ["inspect", "sample"], ["report"], ["report", "/dev/null"], ["run", "--help"],
    ["rum"]]),
    st.lists(st.one_of(WORDS, st.sampled_from(["--json", "--strict", "--tokenizer", "--format", "--baseline",
    "--out"])),
             max_size=3),
)  # fmt: skip

# Histories

HISTORY = History(
    [MergeRecord.of(1, n, Merge("interval", 2, 2, 0.25, 1, 0, 1.5, 1, 0.6, 0.4, 2, 3, False), [1.25, 0.7], True, 0.5,
    [])
     for n in (2, 4)],
    [MonitorRecord(1, n, 0.5, 1.0 + n, 1.5 if n > 1 else None, "active" if n > 1 else "collecting", n > 1)
     for n in range(1, 5)],
)  # fmt: skip


def _numbers(data: Any) -> Any:
    """Plain data with None for what is no finite number."""
    return json.loads(json.dumps(data), parse_constant=lambda name: None)


def _history(given: Any, folder: Path) -> None:
    history = History.from_dict(given)
    with tempfile.TemporaryDirectory() as other:
        history.write(other)
    if _numbers(history.to_dict()) != _numbers(given):
        raise Broken("result: another history")
    if history.iterations:
        signal_plot(_result("aim", 0, history)).svg()


# Run folders


def _result(strategy: str, seed: int, history: History | None = None) -> Result:
    rows = [[80.0 + seed], [60.0, 90.0 - seed]]
    cost = Cost(2.0, 1.5, 40, 1.0, 0.0, 512.0)
    return Result(strategy, "1", seed, ["a", "b"], rows, cost, [50.0, 100.0], [70.0, 80.0], history)


CONFIGURATION = Configuration(model="tiny", device="cpu", strategies=("naive", "aim", "ewc"), seeds=(0, 1))


def _whole_runs() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        store = RunStore(Path(name))
        for seed in CONFIGURATION.seeds:
            for ended in (_result("naive", seed), _result("aim", seed, HISTORY)):
                store.save(ended, CONFIGURATION.of_run(ended.strategy))
        store.save(Failure("ewc", "1", 0, "ValueError: no", "Traceback …"), CONFIGURATION.of_run("ewc"))
        store.write_summary(CONFIGURATION.plain())
        return {str(p.relative_to(name)): p.read_bytes() for p in sorted(Path(name).rglob("*")) if p.is_file()}


RUNS = _whole_runs()


def _report(given: Any, folder: Path) -> None:
    command("report", str(folder))


def _resume(given: Any, folder: Path) -> None:
    store = RunStore(folder, defaults=Configuration().of_run(""))
    store.check(CONFIGURATION.shared())
    for strategy in CONFIGURATION.strategies:
        for seed in CONFIGURATION.seeds:
            key = Key(strategy, "1", seed)
            result = store.finished(key, CONFIGURATION.of_run(strategy))
            if result is not None and result.key != key:
                raise Broken(f"result: the run of {result.key} for {key}")


def _put_runs(changes: Any, folder: Path) -> None:
    put({**RUNS, **changes}, folder)


KINDS = (
    Kind("configuration", settings(), _configure, names=FIELDS, share=3),
    Kind("settings file", SETTINGS_FILES, _run_file, lambda content, to: put({"settings.yaml": content}, to),
    names=FIELDS,
         rewrites=("out",), share=3),
    Kind("flags of run", flags(), _run_flags, names=(*FIELDS, *FLAGS, "settings", "plugins"),
    rewrites=("out",), share=2),
    Kind("other command lines", OTHERS, _others, names=("folder", "error:", "layouts", "comparison", "tokenizer")),
    Kind("history", edited(HISTORY.to_dict()), _history, names=("history",), share=2),
    Kind("report of damaged runs", changes_of(RUNS), _report, _put_runs, rewrites=("report.*",), share=2),
    Kind("resuming damaged runs", changes_of(RUNS), _resume, _put_runs, share=3),
)  # fmt: skip

"""Every command of README.md and docs/ runs, as written but for what is declared here.

Substitutions: ``DIR`` is a folder of small benchmark files (of a finished comparison for ``report``), models are tiny,
tasks short, seeds and orders the first ones, of an order that is written out the first two tasks, and of many
strategies two are trained; launchers and shell loops start one process, and reports that differ in their folder alone
are written once. Runs are made without Ray, which tests/experiments/test_ray.py starts. ``tune`` tries one learning
rate. A program that is not in :data:`PROGRAMS` fails. What trains is slow, but for README's; its settings are read.
"""

import configparser
import importlib.util
import json
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pages import ROOT, SMALL, commands, saved_as

from avalanche_aim.__main__ import main
from avalanche_aim.cli.run import Parser
from avalanche_aim.experiments import STRATEGIES

TUNE = ("--learning-rate-only", "--extend", "0")
TRAINED = 2
"""Strategies of a command that are trained, of those it names."""


class Runner:
    """Runs commands in this process.

    :param files: what ``DIR`` is for commands that read data.
    :param finished: what it is for ``report``.
    :param trains: whether to train, or else to read a run's settings alone.
    """

    alike: ClassVar[set[str]] = set()
    """Commands that differ in their launcher or folder alone; one of them is run."""

    def __init__(self, files: Path, finished: Path, trains: bool = True) -> None:
        self.files = files
        self.finished = finished
        self.trains = trains

    def run(self, command: str) -> Any:
        """Run a command.

        :param command: as it stands on the page.
        :return: its exit status.
        """
        for pattern, method in PROGRAMS.items():
            if match := re.fullmatch(pattern, command, re.DOTALL):
                return method(self, *match.groups())
        raise AssertionError(f"no test knows how to run {command!r}: add it to PROGRAMS")

    def install(self, extras: str) -> None:
        """Only the extras are checked: the environment is installed already."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        assert set(extras.split(",")) <= set(setup["options.extras_require"])

    def once(self, command: str) -> Any:
        """What a launcher or a loop starts, in one process."""
        return 0 if self._seen(command) else self.run(command)

    def _seen(self, command: str) -> bool:
        seen = command in self.alike
        self.alike.add(command)
        return seen

    def tests(self, arguments: str) -> None:
        """Not run, or it would run itself; but what it names is there."""
        assert all((ROOT / path).exists() for path in arguments.split() if "/" in path)

    def avalanche_aim(self, command: str, arguments: str) -> int:
        """A command of the library."""
        words = shlex.split(arguments)
        for name in [*_values(words, "--plugins"), *_values(words, "--metrics"), *_values(words, "--config")]:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            shipped = (ROOT / name).exists()
            Path(name).write_text((ROOT / name).read_text("utf-8") if shipped else saved_as(name), encoding="utf-8")
        if command == "report":
            shutil.copytree(self.finished, words[0])
            return 0 if self._seen(f"report {words[1:]}") else main([command, *words])
        if not self.trains:
            return int(Parser("").configured(words)[0] is None)
        for flag in ("--ray", "--runs-per-gpu", "--device") if "--ray" in words else ():
            at = words.index(flag) if flag in words else len(words)
            del words[at : at + 1 + len(_values(words, flag))]
        words = [str(self.files) if word == "DIR" and words[n - 1] != "--out" else word for n, word in enumerate(words)]
        for file in _values(words, "--tuned"):
            assert self._tune(words, str(Path(file).parent)) == 0
        if command == "tune":
            return self._tune(words, "tuning")
        words = self._short(words) if command == "run" and _values(words, "--benchmark") != ["digits"] else words
        status = main([command, *words])
        return 0 if "--strict" in words else status  # small files have traps

    def _tune(self, words: list[str], out: str) -> int:
        """One learning rate of the grid, and none of a strategy's own."""
        given = words[: words.index("--tuned")] if "--tuned" in words else words
        return main(["tune", *self._short(given), "--learning-rates", "1e-3", *TUNE, "--out", out])

    def ray(self, command: str, arguments: str) -> None:
        """Not run, but its options are looked up."""
        scripts = pytest.importorskip("ray.scripts.scripts", reason="needs ray")
        scripts.cli.commands[command].make_context(command, shlex.split(arguments))

    def example(self, name: str, arguments: str) -> int:
        """A script of examples/."""
        words = [str(self.files) if word == "DIR" else word for word in shlex.split(arguments)]
        if name == "trainer":
            words += SMALL[: SMALL.index("--batch-size")]
        elif name not in ("custom_tasks", "distributed"):
            words = self._short(words)
        return int(_script(name).main(words))

    def fuzz(self, arguments: str) -> None:
        """Fewer inputs."""
        monkeypatch = pytest.MonkeyPatch()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(ROOT / "tests" / "fuzz")
            patch.setattr(sys, "argv", ["fuzz", *shlex.split(arguments), "--inputs", "3", "--kinds", "history"])
            with pytest.raises(SystemExit) as stop:
                runpy.run_path(str(ROOT / "tests" / "fuzz" / "__main__.py"), run_name="__main__")
        assert stop.value.code == 0

    def benchmarks(self, arguments: str) -> int:
        """One quick figure; the names of the others are checked."""
        from benchmarks.__main__ import FIGURES
        from benchmarks.__main__ import main as measure

        named = arguments.split(" --")[0].split()
        assert set(named) <= set(FIGURES)
        return measure(["padding", "--quick", "--model", "tiny"])

    def tables(self, arguments: str) -> int:
        """Of a finished comparison."""
        from benchmarks.evidence.tables import main as print_tables

        return print_tables([str(self.finished), *arguments.split()[1:]])

    def _short(self, words: list[str]) -> list[str]:
        named = _values(words, "--strategies") or ["naive", "aim"]
        assert set(named) <= set(STRATEGIES) or "--plugins" in words
        orders = [",".join(order.split(",")[:2]) for order in _values(words, "--order")[:1]]
        with_options = json.loads(*_values(words, "--options") or ["{}"])
        return [
            *words,
            *(
                SMALL[2:-2] if any(word.endswith("digits.yaml") for word in words) else SMALL
            ),  # no text, no text's model
            *("--seeds", "0"),
            *(["--order", *orders] if orders else []),
            *("--strategies", *dict.fromkeys([*named[:TRAINED], *with_options])),
        ]


PROGRAMS: dict[str, Callable[..., Any]] = {
    r"pip install (?:-e )?['\"]?\S*\[([\w,]+)\]['\"]?": Runner.install,
    r"pytest ?(.*)": Runner.tests,
    r"python -m avalanche_aim (run|report|inspect|tune) ?(.*)": Runner.avalanche_aim,
    r"ray (start|stop) ?(.*)": Runner.ray,
    r"(?:export \w+=|'head=\$\(scontrol').*": lambda runner: None,
    r"srun ray symmetric-run .* -- (python .*)": Runner.once,
    r"python examples/(\w+)\.py ?(.*)": Runner.example,
    r"python tests/fuzz ?(.*)": Runner.fuzz,
    r"python -m benchmarks\.evidence\.tables (.*)": Runner.tables,
    r"python -m benchmarks ?(.*)": Runner.benchmarks,
    r"(?:torchrun|accelerate launch) (?:--(?!multi_gpu)\w+ \S+ |--multi_gpu )+(?=-m|examples)(.*)": (
        lambda runner, script: runner.once(f"python {script}")
    ),
    r"for \w+ in [\w ]+; do (?:\w+=\S+ )*(python .*) & done; wait": (
        lambda runner, command: runner.once(command.replace("--device cuda ", ""))
    ),
}
"""What a command looks like → what runs it."""


RUN = re.compile(r".*avalanche_aim run (?!.*--tuned)")


def _is_slow(place: str, command: str) -> bool:
    trains = re.search(r"avalanche_aim (run|tune)|examples/", command)
    return place.startswith("docs/measured") or (place.startswith("docs/") and trains is not None)


@pytest.mark.parametrize(
    "command", [pytest.param(c, id=f"{p} {c[:60]}") for p, c in commands() if _is_slow(p, c) and RUN.match(c)]
)
def test_the_settings_of_a_run_are_read(
    command: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Runner, "alike", set())
    assert Runner(files, tmp_path, trains=False).run(command) == 0


@pytest.mark.parametrize(
    ("place", "command"),
    [pytest.param(p, c, id=f"{p} {c[:60]}", marks=pytest.mark.slow if _is_slow(p, c) else []) for p, c in commands()],
)
def test_the_command_runs(
    place: str, command: str, files: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    assert Runner(files, finished).run(command) in (None, 0)


def _values(words: Sequence[str], flag: str) -> list[str]:
    """What follows a flag, up to the next one."""
    if flag not in words:
        return []
    after = list(words[words.index(flag) + 1 :])
    return after[: next((n for n, word in enumerate(after) if word.startswith("--")), len(after))]


def _script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""One line of progress."""

from dataclasses import replace

import pytest
from avalanche.benchmarks import CLScenario

from avalanche_aim import LanguageModel
from avalanche_aim.experiments import Key, Settings, run
from avalanche_aim.experiments.progress import progress_bar
from avalanche_aim.experiments.runner import examples_of

SETTINGS = Settings(batch_size=4, memory=4)


class Bar:
    """Keeps what a bar would show."""

    def __init__(self, total: int) -> None:
        self.total, self.n = total, 0
        self.places: list[int] = []
        self.texts: list[str] = []

    def update(self, step: int) -> None:
        self.n += step
        self.places.append(self.n)

    def set_description_str(self, text: str, refresh: bool = True) -> None:
        self.texts.append(text)


@pytest.mark.parametrize("name", ["naive", "replay", "cumulative", "joint", "gdumb"])
def test_the_bar_only_goes_forward_and_ends_complete(
    name: str, llama: LanguageModel, streams: dict[str, CLScenario]
) -> None:
    settings = replace(SETTINGS, epochs=2)
    total = examples_of(streams["tiny"], settings)
    assert total == 2 * 8 + 2 * 8 + 6 + 12
    bar = Bar(total)
    run(Key(name), llama, streams["tiny"], settings, bar=bar)
    assert bar.places == sorted(bar.places)
    assert bar.n == total - (6 if name == "joint" else 0)  # which is not evaluated after the first task
    assert len(set(bar.places)) > 4  # not only at the ends


def test_the_bar_says_what_happens(llama: LanguageModel, streams: dict[str, CLScenario]) -> None:
    bar = Bar(100)
    run(Key("naive"), llama, streams["tiny"], SETTINGS, bar=bar, label="1/2 naive")
    assert bar.texts == [
        "1/2 naive, training on moods",
        "1/2 naive, evaluating moods",
        "1/2 naive, training on topics",
        "1/2 naive, evaluating moods",
        "1/2 naive, evaluating topics",
    ]


def test_a_bar_never_exceeds_its_total(llama: LanguageModel, streams: dict[str, CLScenario]) -> None:
    bar = Bar(20)
    run(Key("naive"), llama, streams["tiny"], SETTINGS, bar=bar)
    assert bar.n == max(bar.places) == 20


@pytest.mark.parametrize("shown", [True, False])
def test_a_bar_is_shown_unless_it_is_hidden(capsys: pytest.CaptureFixture[str], shown: bool) -> None:
    bar = progress_bar(1, shown)
    bar.update(1)
    bar.close()
    assert ("100%" in capsys.readouterr().err) is shown

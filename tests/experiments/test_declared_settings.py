"""Settings are declared once; command line, YAML file and stored runs follow."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.cli.run import Parser
from avalanche_aim.experiments import Configuration, RunStore
from avalanche_aim.experiments.recipes import RECIPES
from avalanche_aim.experiments.settings import Range, setting, settings_of


@dataclass(frozen=True)
class More(Configuration):
    """A configuration with one more setting, which is declared here and nowhere else."""

    patience: Annotated[int, Range("an integer of 1 to 9", lambda n: 1 <= n <= 9)] = setting(3, "how long to wait")


def test_a_new_setting_is_in_the_help_with_its_default() -> None:
    shown = " ".join(Parser("", More).format_help().split())
    assert "--patience VALUE how long to wait (default: 3)" in shown


def test_a_new_setting_is_read_from_the_command_line_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("patience: 5\n", encoding="utf-8")
    file = ["--config", str(tmp_path / "settings.yaml")]
    assert Parser("", More).configured(file)[0].patience == 5  # type: ignore[attr-defined]
    assert Parser("", More).configured([*file, "--patience", "7"])[0].patience == 7  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="patience: expected an integer of 1 to 9, got 12"):
        Parser("", More).configured(["--patience", "12"])


def test_a_new_setting_is_stored_with_a_run_and_tells_runs_apart(tmp_path: Path, result_of: Any) -> None:
    store = RunStore(tmp_path, defaults=More().of_run(""))
    store.save(result_of(), More(patience=4).of_run("naive"))
    (path,) = store.runs.glob("naive*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["asked"]["patience"] == 4
    with pytest.raises(ValueError, match=r"of avalanche-aim [\d.]+ with other settings \(patience 4, now 3\)"):
        store.finished(result_of().key, More().of_run("naive"))


def test_a_run_from_before_a_setting_had_its_default(tmp_path: Path, result_of: Any) -> None:
    store = RunStore(tmp_path, defaults=More().of_run(""))
    store.save(result_of(), Configuration().of_run("naive"))
    assert store.finished(result_of().key, More().of_run("naive")) == result_of()


# Every setting


@pytest.mark.parametrize("name", settings_of(Configuration))
def test_each_setting_says_what_it_does_and_has_a_default_that_it_takes(name: str) -> None:
    one = settings_of(Configuration)[name]
    assert len(one.help) > 10
    assert one.of(one.default) == one.default


@pytest.mark.parametrize("name", [name for name, one in settings_of(Configuration).items() if str in one.types])
def test_an_empty_text_is_no_choice(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected "):
        Configuration.of({name: ""})


@dataclass(frozen=True)
class Kinds:
    """One setting of each kind."""

    number: float = setting(0.5, "a number")
    amount: int | float = setting(1, "a number, as it is written")
    some: tuple[int, ...] = setting((1,), "numbers")
    choice: Literal["one", "two"] = setting("one", "a choice")
    maybe: int | None = setting(None, "a number or none")
    switch: bool = setting(False, "a switch")
    table: dict[str, Any] = setting({}, "a mapping")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(settings_of(Kinds))), PLAIN)
def test_any_plain_value_is_taken_as_it_stays_or_refused_with_what_was_expected(name: str, value: Any) -> None:
    one = settings_of(Kinds)[name]
    try:
        kept = one.of(value)
    except ValueError as error:
        assert str(error).startswith(f"{name}: expected {one.words}, got ")
    else:
        assert one.of(kept) == kept or kept != kept


@given(st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_same_from_the_command_line_and_from_yaml(number: int | float) -> None:
    read = settings_of(Kinds)["amount"].read(repr(number))
    assert (read, type(read)) == (number, type(number))


def test_none_can_be_said_on_the_command_line() -> None:
    assert Parser("").configured(["--recipe", "paper", "--max-grad-norm", "none"])[0].max_grad_norm is None


# Recipes


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_is_made_of_settings(name: str) -> None:
    made = Configuration.of({"recipe": name})
    assert {key: getattr(made, key) for key in RECIPES[name]} == dict(RECIPES[name])


def test_single_settings_win_over_a_recipe_wherever_both_stand(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("recipe: paper\nepochs: 3\nwarmup: 7\n", encoding="utf-8")
    made, _ = Parser("", epochs=2).configured(["--config", str(tmp_path / "settings.yaml"), "--warmup", "9"])
    assert (made.epochs, made.warmup, made.batch_size, made.learning_rate) == (3, 9, 32, 3e-4)


def test_a_recipe_wins_over_the_defaults_of_an_example() -> None:
    assert Parser("", epochs=2, max_prompt_tokens=96).configured(["--recipe", "paper"])[0].epochs == 10


def test_the_defaults_of_an_example_give_way_to_a_model_that_has_no_use_for_them() -> None:
    assert Parser("", max_prompt_tokens=96).configured(["--model", "features"])[0].model == "features"


@pytest.mark.parametrize("name", ["", "mine", 3, ["paper"]])
def test_an_unknown_recipe_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="recipe: expected one of paper, got "):
        Configuration.of({"recipe": name})


# What would have no effect


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": False, "lora_rank": 4}, "lora_rank: expected none without LoRA"),
        ({"model": "features", "lora_dropout": 0.2}, "lora_dropout: expected none on model 'features'"),
        ({"model": "tiny", "encoder": "somewhere"}, "encoder: expected none on model 'tiny'"),
        ({"benchmark": "digits", "data": "somewhere"}, "data: expected none on model 'head'"),
        ({"benchmark": "digits", "save_models": True}, "save_models: expected none on model 'head'"),
        ({"benchmark": "digits", "model": "features"}, "model: expected head for digits, got 'features'"),
        ({"model": "head"}, "model: expected a language model or \"features\" for standard_cl, got 'head'"),
    ],
)
def test_a_setting_that_would_have_no_effect_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Configuration(**changes)

"""The model card: front matter that the Hub can read, and everything said."""

from typing import Any

import pytest
import yaml

from avalanche_aim.storage.versions import versions
from avalanche_aim.text.model.model_card import Base, Saved, Training, model_card

TRAINING = Training(
    tasks=["news", "reviews"],
    scores=[81.25, None],
    metrics={"OP": 70.5, "BWT": -2.25, "FWT": float("nan")},
    definitions={"OP": "overall performance", "score": "exact match in percent"},
    settings={"strategy": "aim", "learning_rate": 5e-4, "options": {"window": 7}},
)


def front_matter(card: str) -> dict[str, Any]:
    before, front, _ = card.split("---\n", 2)
    assert before == ""
    return yaml.safe_load(front)


def test_the_front_matter_of_an_adapter_is_what_the_hub_expects() -> None:
    card = model_card(Saved(adapter=True, causal=True, base=Base("lab/model")), TRAINING)
    assert front_matter(card) == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "base_model": "lab/model",
        "tags": ["avalanche-aim", "continual-learning", "base_model:adapter:lab/model", "lora"],
    }


def test_the_front_matter_of_a_merged_model_names_transformers() -> None:
    front = front_matter(model_card(Saved(adapter=False, causal=False, base=Base("lab/model")), Training()))
    assert front == {
        "library_name": "transformers",
        "base_model": "lab/model",
        "tags": ["avalanche-aim", "continual-learning"],
    }


def test_the_card_says_tasks_in_order_scores_metrics_settings_and_versions() -> None:
    card = model_card(Saved(True, True, Base("lab/model", "v2"), "A note."), TRAINING)
    expected = [
        "Base model: `lab/model`, revision `v2`.",
        "A note.",
        "| 1 | news | 81.2 |\n| 2 | reviews | – |",
        "Score: exact match in percent.",
        "- OP: 70.5 (overall performance)\n- BWT: -2.2\n- FWT: –",
        "- strategy: aim\n- learning_rate: 0.0005\n- options: {'window': 7}",
        "AutoModelForCausalLM.from_pretrained('lab/model', revision='v2')",
        'PeftModel.from_pretrained(base, "this/folder")',
        'LanguageModel.from_pretrained("this/folder")',
        *(f"- {name}: {version}" for name, version in versions().items()),
    ]
    places = [card.index(text) for text in expected[:3]]
    assert places == sorted(places)
    assert [text for text in expected if text not in card] == []


def test_what_is_not_known_is_left_out() -> None:
    card = model_card(Saved(adapter=False, causal=False, base=None), Training())
    assert "without a name that others could load it by" in card
    assert 'LanguageModel.from_pretrained("this/folder", lora=False)' in card
    assert not any(title in card for title in ("## Tasks", "## Metrics", "## Settings", "base_model"))


@pytest.mark.parametrize("adapter", [True, False])
def test_the_code_of_a_card_compiles(adapter: bool) -> None:
    card = model_card(Saved(adapter, True, Base("a'b/c", "main")), Training())
    blocks = card.split("```python\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        compile(block.split("```")[0], "card", "exec")

"""The trained models of a comparison, beside its results."""

from pathlib import Path

from ..evaluation import DEFINITIONS
from ..text import LanguageModel
from ..text.model.model_card import Training
from .configuration import Configuration
from .result import Result
from .store import SCORE


def save_trained(model: LanguageModel, result: Result, configuration: Configuration, folder: Path) -> None:
    """Save the model of a run, with a card made of its result and settings.

    :param model: the trained model.
    :param result: what it measured.
    :param configuration: of its comparison.
    :param folder: of the comparison; the model goes to ``models/<name of the run>`` in it.
    :raises OSError, ValueError: as of :meth:`~avalanche_aim.LanguageModel.save_pretrained`.
    """
    run = {"strategy": result.strategy, "order": result.order, "seed": result.seed}
    merges = {} if result.merges is None else {"merges": result.merges}
    training = Training(
        result.tasks,
        result.r[-1],
        result.metrics,
        {**DEFINITIONS, "score": SCORE},
        {**run, **merges, **configuration.of_run(result.strategy)},
    )
    model.save_pretrained(folder / "models" / result.key.stem, training)

"""Comparisons on frozen sentence embeddings."""

from pathlib import Path

from avalanche_aim.experiments import Comparison, Configuration


def test_strategies_are_compared_on_embeddings(encoder: Path, own_cache: Path, tmp_path: Path) -> None:
    made = Comparison(
        Configuration(
            model="features",
            encoder=str(encoder),
            encoder_tokens=12,
            orders=("news,reviews",),
            strategies=("naive", "replay", "aim"),
            train_per_task=8,
            eval_per_task=4,
            batch_size=4,
            memory=4,
            device="cpu",
            fwt=True,
        ),
        tmp_path,
    )
    made.run(progress=False)
    assert made.failures == []
    assert [result.tasks for result in made.results] == [["news", "reviews"]] * 3
    assert all("FWT" in result.metrics for result in made.results)
    assert made.results[0].r[0][0] == made.results[0].single[0]  # type: ignore[index]

"""What the plugin records and publishes."""

import warnings
from itertools import pairwise

import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import ITERATIONS, merge_positions, merging

from avalanche_aim.merging import AdaptiveInterval, FixedInterval


def test_every_iteration_of_the_later_experiences_is_recorded_once(train):
    plugin = merging()
    train(plugin)
    places = [(record.experience, record.iteration) for record in plugin.history.iterations]
    assert places == [(experience, i) for experience in (1, 2) for i in range(1, ITERATIONS + 1)]


def test_merges_and_iterations_agree(train):
    plugin = merging(AdaptiveInterval(3, cold_start=1), forgetting={"factor": 0.9})
    train(plugin)
    merges = plugin.history.merges
    iterations = {(record.experience, record.iteration): record for record in plugin.history.iterations}
    for experience in (1, 2):
        of_this = [merge for merge in merges if merge.experience == experience]
        assert len(of_this) >= 2
        ends = [0, *(merge.iteration for merge in of_this)]
        assert [merge.elapsed for merge in of_this] == [b - a for a, b in pairwise(ends)]
        assert [merge.interval for merge in of_this[1:]] == [merge.next_interval for merge in of_this[:-1]]
        for merge in of_this:
            span = [iterations[experience, i] for i in range(merge.iteration - merge.elapsed + 1, merge.iteration + 1)]
            assert sum(record.active for record in span) == merge.activations
            assert span[-1].threshold == merge.threshold


def test_the_training_loss_is_recorded_as_it_was(train):
    plugin, losses = merging(), []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            losses.append(float(strategy.loss.detach()))

    train(Look(), plugin)
    assert [record.training_loss for record in plugin.history.iterations] == losses[ITERATIONS:]


def test_a_loss_is_active_exactly_from_the_threshold_on(train):
    plugin = merging(FixedInterval(6), forgetting={"factor": 0.9})
    train(plugin)
    compared = [record for record in plugin.history.iterations if record.status in ("active", "quiet")]
    assert {record.active for record in compared} == {True, False}
    assert all(record.active == (record.historical_loss >= record.threshold) for record in compared)


def test_metric_values_reach_the_evaluator(train):
    plugin = merging(FixedInterval(4))
    last = train(plugin).evaluator.get_last_metrics()
    merge, record = plugin.history.merges[-1], plugin.history.iterations[-1]
    assert {name: value for name, value in last.items() if name.startswith("AIM/")} == {
        "AIM/HistoricalLoss": record.historical_loss,
        "AIM/Threshold": record.threshold,
        "AIM/LearningSignal": merge.learning_signal,
        "AIM/AlphaNew": merge.alpha_new,
        "AIM/AlphaPast": merge.alpha_past,
        "AIM/Interval": 4,
        "AIM/Merge": 6,
    }


def test_metric_values_reach_the_loggers_at_their_iteration(train):
    plugin = merging(FixedInterval(4))
    logged = train(plugin).evaluator.loggers[0].values
    assert logged["AIM/Merge"] == [(position, n) for n, position in enumerate(merge_positions(plugin), start=1)]
    assert [x for x, _ in logged["AIM/HistoricalLoss"]] == list(range(ITERATIONS, 3 * ITERATIONS))


def test_a_run_raises_no_warning(train):
    torch.set_warn_always(True)  # else torch says each thing only once a process
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(merging())
    finally:
        torch.set_warn_always(False)
    assert {str(w.message) for w in caught if "avalanche_aim" in w.filename} == set()

"""What is rehearsed: a small, balanced, fixed share of each experience."""

import warnings

import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.training.plugins import ReplayPlugin
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import FixedInterval
from avalanche_aim.rehearsal.memory import balanced_choice

TARGETS = st.lists(st.integers(0, 6), max_size=60)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(dataset_of, size=6, seed=0, tasks=((0, 1) * 10, (2, 3) * 10)):
    memory = RehearsalMemory(size, seed)
    for targets in tasks:
        memory.add(dataset_of(list(targets)))
    return memory


def counts(targets, rows):
    return {target: sum(targets[row] == target for row in rows) for target in set(targets)}


def test_at_least_so_many_of_each_label_are_kept_and_said(dataset_of):
    memory = RehearsalMemory(0.02)
    with pytest.warns(UserWarning, match=r"0\.02 of 60 examples is less than 1 for each label; 4 are kept \(6\.7%\)"):
        memory.add(dataset_of([0, 1, 2, 3] * 15))
    assert counts([0, 1, 2, 3] * 15, memory.selected[0]) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_share_that_has_them_anyway_stays_a_share_and_silent(dataset_of):
    memory = RehearsalMemory(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.add(dataset_of([0, 1, 2, 3] * 15))
    assert len(memory) == 6


def test_a_count_and_no_memory_are_taken_at_their_word(dataset_of):
    for size, kept in ((2, 2), (0.0, 0)):
        memory = RehearsalMemory(size)
        memory.add(dataset_of([0, 1, 2, 3] * 15))
        assert len(memory) == kept


def test_data_without_targets_have_no_labels_to_keep_one_of():
    memory = RehearsalMemory(0.1)
    memory.add(AvalancheDataset(TensorDataset(torch.zeros(60, 2))))
    assert len(memory) == 6


# The choice


@given(TARGETS, st.integers(0, 80), st.integers(0, 5))
def test_exactly_as_many_examples_are_chosen_as_asked_for(targets, size, seed):
    rows = balanced_choice(targets, size, generator(seed))
    assert len(rows) == min(size, len(targets))
    assert rows == sorted(set(rows))
    assert set(rows) <= set(range(len(targets)))


@given(TARGETS, st.integers(0, 80), st.integers(0, 5))
def test_every_target_has_an_example_where_the_size_allows(targets, size, seed):
    chosen = counts(targets, balanced_choice(targets, size, generator(seed)))
    if size >= len(chosen):
        assert all(count >= 1 for count in chosen.values())


@given(TARGETS, st.integers(0, 80), st.integers(0, 5))
def test_counts_differ_by_at_most_one_among_targets_that_have_more(targets, size, seed):
    chosen = counts(targets, balanced_choice(targets, size, generator(seed)))
    available = counts(targets, range(len(targets)))
    most = max(chosen.values(), default=0)
    assert all(count >= most - 1 or count == available[target] for target, count in chosen.items())


def test_a_rare_target_is_chosen_in_full():
    targets = [0] * 50 + [1] * 2
    assert counts(targets, balanced_choice(targets, 10, generator())) == {0: 8, 1: 2}


def test_distinct_targets_are_sampled_to_the_size_and_uniformly():
    drawn = [row for seed in range(400) for row in balanced_choice(list(range(10)), 2, generator(seed))]
    assert len(drawn) == 800
    assert all(50 <= drawn.count(row) <= 110 for row in range(10))  # 80 expected


def test_where_there_is_room_for_some_targets_only_none_is_preferred():
    drawn = [balanced_choice([0, 0, 0, 1, 2], 1, generator(seed))[0] for seed in range(300)]
    for rows in ((0, 1, 2), (3,), (4,)):  # the rows of each target
        assert 60 <= sum(row in rows for row in drawn) <= 140  # 100 expected


def test_the_choice_depends_on_the_seed_alone():
    targets = [0, 1, 2] * 20
    assert balanced_choice(targets, 9, generator(1)) == balanced_choice(targets, 9, generator(1))
    assert balanced_choice(targets, 9, generator(1)) != balanced_choice(targets, 9, generator(2))


def test_the_choice_leaves_the_global_random_stream_alone():
    before = torch.get_rng_state()
    balanced_choice([0, 1] * 20, 9, generator())
    assert torch.equal(torch.get_rng_state(), before)


# The size


@pytest.mark.parametrize(
    ("size", "length", "kept"),
    [
        (0.29, 100, 29),  # 0.29 * 100 is 28.999... in floats
        (0.57, 100, 57),
        (0.02, 149, 2),
        (0.02, 49, 0),
        (1.0, 7, 7),
        (1, 7, 1),
        (0.0, 7, 0),
        (0, 7, 0),
        (5, 3, 3),
        (5, 100, 5),
    ],
)
def test_a_float_is_a_fraction_and_an_int_a_count(size, length, kept):
    assert RehearsalMemory(size).examples_of(length) == kept


@given(st.integers(1, 100), st.integers(0, 50))
def test_a_percentage_is_exact(percent, hundreds):
    assert RehearsalMemory(percent / 100).examples_of(100 * hundreds) == percent * hundreds


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_a_fraction_never_keeps_more_than_the_share(size, length):
    assert 0 <= RehearsalMemory(size).examples_of(length) <= size * length + 1e-6


@pytest.mark.parametrize("size", [1.01, -0.01, float("nan"), float("inf")])
def test_a_fraction_outside_its_range_is_refused(size):
    with pytest.raises(ValueError, match=r"memory: expected a fraction in \[0, 1\]"):
        RehearsalMemory(size)


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="memory: expected a count of 0 or more examples, got -1"):
        RehearsalMemory(-1)


@pytest.mark.parametrize("size", [True, False, "0.02", None])
def test_what_is_neither_a_fraction_nor_a_count_is_refused(size):
    with pytest.raises(TypeError, match=r"memory: expected a fraction \(float\) or a count \(int\)"):
        RehearsalMemory(size)


# The memory


def test_a_new_memory_is_empty():
    memory = RehearsalMemory()
    assert (len(memory), len(memory.buffer), memory.selected) == (0, 0, [])


def test_every_experience_adds_its_share(dataset_of):
    memory = filled(dataset_of, 0.25, tasks=[(0, 1) * 10, (2, 3) * 20])
    assert [len(rows) for rows in memory.selected] == [5, 10]
    assert len(memory) == len(memory.buffer) == 15


def test_the_buffer_holds_the_selected_rows_balanced_over_the_targets(dataset_of):
    targets = [0] * 30 + [1] * 10
    memory = filled(dataset_of, 8, tasks=[targets])
    rows, kept = zip(*((int(example[0]), int(example[1])) for example in memory.buffer), strict=True)
    assert list(rows) == memory.selected[0]
    assert (kept.count(0), kept.count(1)) == (4, 4)


def test_what_is_kept_of_an_experience_never_changes(dataset_of):
    memory = filled(dataset_of, tasks=[(0, 1) * 10])
    first = [int(example[0]) for example in memory.buffer]
    memory.add(dataset_of([2, 3] * 50))
    assert [int(example[0]) for example in memory.buffer][: len(first)] == first


def test_the_same_seed_keeps_the_same_examples(dataset_of):
    assert filled(dataset_of, seed=3).selected == filled(dataset_of, seed=3).selected
    assert filled(dataset_of, seed=3).selected != filled(dataset_of, seed=4).selected


def test_filling_the_memory_leaves_the_global_random_stream_alone(dataset_of):
    before = torch.get_rng_state()
    filled(dataset_of)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_share_of_less_than_one_example_warns_and_names_the_remedy(dataset_of):
    with pytest.warns(UserWarning, match=r"0.02 of 20 examples is less than one; give the memory's size as a count"):
        RehearsalMemory(0.02, per_label=0).add(dataset_of([0, 1] * 10))


@pytest.mark.parametrize("size", [0, 0.0])
def test_an_empty_memory_that_was_asked_for_does_not_warn(dataset_of, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(filled(dataset_of, size)) == 0


@pytest.mark.parametrize(
    "change", [{"selected": [[0]]}, {"selected": [[0, -1]]}, {"selected": [[0, "1"]]}, {"keys": torch.ones(1)}]
)
def test_a_state_that_is_not_of_the_buffer_is_refused(change, dataset_of):
    memory = filled(dataset_of, 2, tasks=[(0, 1)])
    fresh = RehearsalMemory(2)
    with pytest.raises(ValueError, match=r"memory: expected (the places|a key)"):
        fresh.load_state_dict({**memory.state_dict(), **change}, [], memory.buffer)
    assert fresh.selected == []


def test_resizing_is_refused(dataset_of):
    with pytest.raises(NotImplementedError, match="choose the share when making it"):
        filled(dataset_of).resize(None, 3)


# Batches


def test_a_batch_is_drawn_without_replacement(dataset_of):
    memory = filled(dataset_of, 10)
    for seed in range(20):
        rows, targets = memory.batch(12, generator(seed))[:2]
        examples = list(zip(rows.tolist(), targets.tolist(), strict=True))
        assert len(set(examples)) == 12


def test_a_batch_never_exceeds_the_memory(dataset_of):
    x, y = filled(dataset_of, 3).batch(100, generator())[:2]
    assert len(x) == len(y) == 6


def test_a_batch_mixes_the_past_experiences(dataset_of):
    memory = filled(dataset_of, 10)
    drawn = torch.cat([memory.batch(8, generator(seed))[1] for seed in range(50)])
    assert all(70 <= int((drawn == target).sum()) <= 130 for target in range(4))  # 100 expected


def test_a_batch_depends_on_its_generator_alone(dataset_of):
    memory, before = filled(dataset_of, 10), torch.get_rng_state()
    assert torch.equal(memory.batch(8, generator(1))[0], memory.batch(8, generator(1))[0])
    assert not torch.equal(memory.batch(8, generator(1))[0], memory.batch(8, generator(2))[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_is_collated_as_the_data_set_asks():
    rows = TensorDataset(torch.arange(20))
    memory = RehearsalMemory(4)
    for _ in range(2):
        memory.add(AvalancheDataset([rows], collate_fn=len))
    assert memory.batch(3, generator()) == 3


def test_examples_without_targets_are_sampled_as_if_all_were_distinct():
    memory = RehearsalMemory(4)
    memory.add(AvalancheDataset([TensorDataset(torch.arange(20))]))
    assert len(set(memory.selected[0])) == 4


# In Avalanche


def test_it_is_a_storage_policy_for_replay(train):
    memory = RehearsalMemory(4)
    sizes = []

    def criterion(output, target):
        sizes.append(len(target))
        return torch.nn.functional.cross_entropy(output, target)

    train(ReplayPlugin(mem_size=memory.max_size, storage_policy=memory), criterion=criterion)
    assert [len(rows) for rows in memory.selected] == [4, 4, 4]
    # Four iterations in each of three epochs; from the second experience on with replayed examples in the batch.
    assert sizes[:12] == [8] * 12
    assert min(sizes[12:]) > 8


def test_one_memory_for_merging_and_replay_keeps_each_experience_once(train):
    memory = RehearsalMemory(4)
    merging = AIMMergingPlugin("paper", schedule=FixedInterval(4), memory=memory)
    train(merging, ReplayPlugin(mem_size=memory.max_size, storage_policy=memory))
    assert [len(rows) for rows in memory.selected] == [4, 4, 4]

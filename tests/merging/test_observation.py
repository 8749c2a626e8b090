"""What an observation measures."""

import pytest
from views import observed


def test_a_measure_is_taken_when_it_is_asked_for_and_only_once():
    taken = []
    observation = observed(movement=lambda: taken.append(1) or 3.0)
    assert taken == []
    assert (observation.movement, observation.movement, taken) == (3.0, 3.0, [1])


def test_a_measure_may_be_a_number():
    assert observed(step_length=0.5).step_length == 0.5


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("step_length", r"a part with needs = \('step_length',\)"), ("gradient_cosine", "a training with a memory")],
)
def test_what_is_not_measured_is_told_with_what_it_takes(name, remedy):
    with pytest.raises(ValueError, match=f"asked for its {name}, which is not measured here: it takes {remedy}"):
        getattr(observed(), name)

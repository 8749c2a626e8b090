"""All kinds of bad input. One more is a :class:`~promise.Kind` in one of these modules."""

import cache_kinds
import checkpoint_kinds
import data_kinds
import experiment_kinds
import model_kinds

KINDS = (
    *data_kinds.KINDS,
    *experiment_kinds.KINDS,
    *cache_kinds.kinds(),
    *checkpoint_kinds.KINDS,
    *model_kinds.kinds(),
)

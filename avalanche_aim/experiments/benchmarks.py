"""The benchmarks of a comparison, by name."""

from dataclasses import dataclass

from ..text import DEFAULT_MODEL


@dataclass(frozen=True)
class Benchmark:
    """Tasks in several orders.

    :param first: the order by default.
    :param data: where its data is by default.
    :param hub: whether the Hugging Face hub has it.
    :param kinds: the kinds of models that can be trained on it.
    :param model: the model by default.
    """

    first: str
    data: str | None = None
    hub: bool = True
    kinds: tuple[str, ...] = ("language", "features")
    model: str = DEFAULT_MODEL

    def default_data(self, name: str) -> str | None:
        """Return where its data is.

        :raises ValueError: if that has to be said.
        """
        if self.data is None and "language" in self.kinds:
            hub = ', or "hub"' if self.hub else ""
            raise ValueError(f"data: expected the folder of the files of {name}{hub}; got none")
        return self.data


BENCHMARKS: dict[str, Benchmark] = {
    "standard_cl": Benchmark("1", "sample"),
    "long_sequence": Benchmark("4"),
    "superni": Benchmark("1", hub=False),
    "trace": Benchmark("1", hub=False),
    "mmlu_pro": Benchmark("1"),
    "digits": Benchmark("1", kinds=("digits",), model="head"),
}

"""Small text tasks whose answers follow from their prompts."""

from collections.abc import Sequence

from avalanche_aim.text import TextExample, TextTask

MOODS = ("bad", "good", "very bad", "very good")  # two labels begin with the same token
TOPICS = ("good", "music", "sport of kings")  # one label is a mood as well; lengths differ
NOUNS = ("soup", "film", "old dog", "garden", "long way home", "lamp", "tea", "quiet street by the river")
WORDS = ("red", "green", "blue", "warm", "cold", "dry")


def closed_task(name: str, labels: Sequence[str], cue: str, sizes: tuple[int, int, int]) -> TextTask:
    """Return a task whose prompts differ in length and in each of which the label follows from one word."""

    def examples(split: str, size: int) -> tuple[TextExample, ...]:
        return tuple(
            TextExample(
                f"The {NOUNS[i % 8]} is {WORDS[i % len(labels)]}, {split} {i}.\n{cue}:", (labels[i % len(labels)],)
            )
            for i in range(size)
        )

    parts = [examples(split, size) for split, size in zip(("train", "dev", "test"), sizes, strict=True)]
    return TextTask(name, *parts, tuple(labels))


def open_task(name: str, sizes: tuple[int, int, int]) -> TextTask:
    """Return a task of open generation, whose answers differ in length. The first test rows stand in training."""

    def example(i: int) -> TextExample:
        return TextExample(f"Name thing {i} of the {NOUNS[i % 8]}:", (" ".join(WORDS[i % 3 : i % 3 + 1 + i % 4]),))

    train, dev, test = sizes
    unseen = range(train, train + dev + (test + 1) // 2)
    seen = tuple(map(example, range(test // 2)))
    later = tuple(map(example, unseen))
    return TextTask(name, tuple(map(example, range(train))), later[:dev], seen + later[dev:], None)

"""What README.md and docs/ show: their fenced blocks, commands and links."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import avalanche_aim

ROOT = Path(avalanche_aim.__file__).parents[1]
SMALL = (
    *("--model", "tiny", "--train-per-task", "8", "--eval-per-task", "2"),
    *("--batch-size", "4", "--epochs", "1", "--max-prompt-tokens", "32"),
)
"""What makes a comparison short."""
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param page: its page, from the repository's root.
    :param line: where it begins.
    :param language: what it says it is.
    :param text: what stands in it.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Page and line, for people."""
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Return the fenced blocks of all pages.

    :param languages: which ones; all by default.
    """
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(str(page.relative_to(ROOT)), line, fence[1], fence[2]))
    return [block for block in found if not languages or block.language in languages]


def saved_as(name: str) -> str:
    """Return the Python block that a page asks to save under a name.

    :param name: of the file.
    """
    for page in PAGES:
        _, found, after = page.read_text(encoding="utf-8").partition(f"`{name}`:")
        if found:
            return next(fence[2] for fence in _FENCE.finditer(after) if fence[1] == "python")
    raise AssertionError(f"no page says what to save as {name}: expected a Python block after `{name}`:")


def commands() -> list[tuple[str, str]]:
    """Return (place, command) of everything in ``sh`` blocks, one command each."""
    found = []
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                whole = " ".join(line.split()) if words[0] == "for" else shlex.join(words)
                parts = [whole] if words[0] == "for" else whole.split(" '&&' ")
                found += [(block.place, part) for part in parts]
    return found

"""What the pages name exists: links, files, and blocks whose language says whether they are run."""

import re

import pytest
from pages import PAGES, ROOT, Block, blocks

LANGUAGES = {"sh", "python", "yaml", "text", "bibtex"}
PROGRAMS = re.compile(r"^\s*(python3?|pip|pytest|torchrun|accelerate|for) ", re.MULTILINE)
FILE = re.compile(r"`((?:avalanche_aim|tests|examples|benchmarks|docs)/[\w/.-]+)")
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def _id(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("block", blocks(), ids=_id)
def test_a_block_says_what_it_is_and_no_text_hides_a_command(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.language in ("sh", "python") or not PROGRAMS.search(block.text)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page) -> None:  # type: ignore[no-untyped-def]
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_anchors_are_headings(page) -> None:  # type: ignore[no-untyped-def]
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        other = (page.parent / target) if target else page
        headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_named_exist(page) -> None:  # type: ignore[no-untyped-def]
    for name in FILE.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / name.rstrip(".")).exists(), name


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.page == "docs/extending.md"], ids=_id)
def test_an_extension_has_forty_lines_at_most(block: Block) -> None:
    assert len(block.text.splitlines()) <= 40

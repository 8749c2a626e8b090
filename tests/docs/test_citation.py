"""CITATION.cff is well formed and of this version."""

import yaml
from pages import ROOT

import avalanche_aim

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_it_has_what_the_format_asks_for_and_cites_the_paper() -> None:
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    (paper,) = CITATION["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2509.17348"


def test_it_names_this_version() -> None:
    assert CITATION["version"] == avalanche_aim.__version__

"""The method imports torch and the standard library, and nothing else."""

import ast
import sys
from pathlib import Path

import pytest

from avalanche_aim import merging

FOLDER = Path(merging.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
ALLOWED = {"torch", *sys.stdlib_module_names}


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(FOLDER)) for file in FILES])
def test_a_module_of_the_method_stays_within_it(file):
    depth = len(file.relative_to(FOLDER).parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= ALLOWED
        elif isinstance(node, ast.ImportFrom):
            outside = node.level > depth if node.level else node.module.partition(".")[0] not in ALLOWED
            assert not outside, ast.unparse(node)

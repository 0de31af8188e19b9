"""Change each threshold a little, and print in Markdown whether a test notices.

python -m tests.mutate_thresholds [MODULE ...]

Exits with 1 if a changed one survives its stage's tests.
"""

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
STAGES = ("decoding", "illumination", "localization", "framing")
MODULES = (*STAGES, "inference", "batching")
FACTOR = 1.3
# Shares above this are moved by their distance from 1.
NEARLY_ALL = 0.8
# Those of which only the order of magnitude counts.
FACTORS = {}
# By "NAME", or "NAME up" or "NAME down" where that holds for one direction only.
EXCLUDED = {}


class Mutant(NamedTuple):
    name: str
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    for name, literal in thresholds(ast.parse(source)):
        for direction in (1, -1):
            after = repr(moved(name, literal.value, direction))
            way = name + (" up" if direction > 0 else " down")
            lines = source.encode().splitlines(keepends=True)
            line, start, end = (
                literal.lineno - 1,
                literal.col_offset,
                literal.end_col_offset,
            )
            text = lines[line]
            lines[line] = text[:start] + after.encode() + text[end:]
            yield Mutant(way, text[start:end].decode(), after, b"".join(lines).decode())


def thresholds(tree: ast.Module) -> Iterator[tuple[str, ast.Constant]]:
    """Each number in what a module assigns to upper-case names."""
    for node in (each for each in tree.body if isinstance(each, ast.Assign)):
        names, values = node.targets, [node.value]
        if isinstance(names[0], ast.Tuple):
            names, values = names[0].elts, node.value.elts
        for name, value in zip(names, values, strict=True):
            if isinstance(name, ast.Name) and name.id.isupper():
                yield from (
                    (name.id, each) for each in ast.walk(value) if is_number(each)
                )


def is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def moved(name: str, value: float, direction: int) -> float:
    factor = FACTORS.get(name, FACTOR) ** direction
    if isinstance(value, int):
        away = round(value * factor) - value
        return value + (away if away * direction > 0 else direction)
    if NEARLY_ALL < value < 1:
        return 1 - (1 - value) / factor
    return value * factor


def is_killed(tree: Path, module: str) -> bool:
    """The module's own tests run first, since the first failure ends them."""
    modules = sorted(STAGES, key=lambda stage: stage != module)
    if module not in STAGES:
        modules = [module]
    tests = [f"tests/test_{each}.py" for each in modules]
    # The conftest would load the whole service.
    options = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", *tests]
    command = [sys.executable, "-m", "pytest", *options]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True)
    return run.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE")
    modules = parser.parse_args().modules
    survivors = 0
    print("| module | threshold | is | becomes | |\n|---|---|---|---|---|", flush=True)
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        ignored = ignore_patterns(".*", "__pycache__", "uploads")
        copytree(ROOT, tree, ignore=ignored)
        for module in modules:
            file = tree / "recognition" / f"{module}.py"
            source = file.read_text()
            assert not is_killed(tree, module), f"The tests of {module} fail as it is."
            for mutant in mutants(source):
                file.write_text(mutant.source)
                reason = EXCLUDED.get(mutant.name) or EXCLUDED.get(
                    mutant.name.split()[0]
                )
                result = reason or ("killed" if is_killed(tree, module) else "SURVIVED")
                survivors += result == "SURVIVED"
                row = (module, mutant.name, mutant.before, mutant.after, result)
                print("|", " | ".join(row), "|", flush=True)
            file.write_text(source)
    return survivors > 0


if __name__ == "__main__":
    sys.exit(main())

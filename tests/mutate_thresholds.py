"""Change each threshold a little, and print in Markdown whether a test notices.

python -m tests.mutate_thresholds [MODULE ...]    (exits with 1 where one survives)
"""

import ast
import os
import sys
from itertools import chain
from pathlib import Path
from shutil import copytree, ignore_patterns
from subprocess import DEVNULL, run
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
# The tests of the quick ones need no TensorFlow, and are run together.
QUICK = ("decoding", "illumination", "localization", "framing")
# What the detector finds is seen in the numbers that are read.
SEVERAL = ("detection", "numbers")
MODULES = (*QUICK, "inference", "batching", *SEVERAL)
# Of some only the order of magnitude counts, as where a network has learned what lies
# between; LEAST_CLOSING is made odd.
FACTOR_OF_SEVERAL = 2
FACTOR, FACTORS = 1.3, {"RIDGE": 1e10, "BACKGROUND_MARGIN": 10, "LEAST_CLOSING": 2}
# Plug-ins take longer to load than the tests to run.
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
EXCLUDED = {
    "WHOLE_SIDE down": "time and memory: strips give the same picture",
    "STRIP_ROWS up": "memory: strips of any height give the same picture",
    "STRIP_ROWS down": "time: the same",
    "FIT_CONVERGED down": "time: more steps move the fit by less than a grey level",
    "BACKGROUND_MARGIN up": "time: more paper than is shown changes nothing",
    "LINEAR_SCALE up": "time: both interpolations show every pixel there",
}


def mutants(module, factor_of_all):
    """The threshold and the way it goes, its number before and after, the source."""
    for node in (each for each in module.body if isinstance(each, ast.Assign)):
        names, values = node.targets, [node.value]
        if isinstance(names[0], ast.Tuple):
            names, values = names[0].elts, node.value.elts
        for name, value in zip(map(ast.unparse, names), values, strict=True):
            for part in ast.walk(value):
                before = getattr(part, "value", None)
                factor = FACTORS.get(name, factor_of_all)
                if isinstance(before, int | float):
                    for way, times in (("up", factor), ("down", 1 / factor)):
                        part.value = moved(before, times)
                        yield f"{name} {way}", before, part.value, ast.unparse(module)
                    part.value = before


def moved(value, factor):
    if isinstance(value, int):
        pick, step = (max, 1) if factor > 1 else (min, -1)
        return pick(round(value * factor), value + step)
    # Of a share of nearly all, the rest is what counts.
    return 1 - (1 - value) / factor if 0.8 < value < 1 else value * factor


def is_killed(folder, module):
    """Whether a test fails: the module's own come first, and one is enough."""
    groups = [group for group in (QUICK, SEVERAL) if module in group]
    stages = dict.fromkeys([module, *chain(*groups)])
    tests = [f"tests/test_{stage}.py" for stage in stages]
    command = [sys.executable, "-B", "-m", "pytest", "-x", "--noconftest", *tests]
    return run(command, cwd=folder, env=ENVIRONMENT, stdout=DEVNULL).returncode != 0


def main(folder):
    print("| module | threshold | is | becomes | result |\n|---|---|---|---|---|")
    results = []
    for module in sys.argv[1:] or MODULES:
        source = (file := folder / "recognition" / f"{module}.py").read_text()
        assert not is_killed(folder, module), f"Tests of {module} fail as it is."
        factor = FACTOR_OF_SEVERAL if module in SEVERAL else FACTOR
        for name, before, after, changed in mutants(ast.parse(source), factor):
            file.write_text(changed)
            killed = name not in EXCLUDED and is_killed(folder, module)
            results.append("killed" if killed else EXCLUDED.get(name, "survived"))
            row = f"{module} | {name} | {before:g} | {after:.6g} | {results[-1]}"
            print(f"| {row} |", flush=True)
        file.write_text(source)
    return int("survived" in results)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        ignored = ignore_patterns(".*", "__pycache__", "uploads")
        sys.exit(main(copytree(ROOT, Path(folder) / "copy", ignore=ignored)))

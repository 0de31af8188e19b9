"""Change each threshold a little, and print in Markdown whether a test notices.

python -m tests.mutate_thresholds [MODULE ...]

Exits with 1 if a change survives.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
# The tests of the quick ones need no TensorFlow, and are run together.
QUICK = ("decoding", "illumination", "localization", "framing")
MODULES = (*QUICK, "inference", "batching")
# Of some only the order of magnitude counts; LEAST_CLOSING is made odd.
FACTOR, FACTORS = 1.3, {"RIDGE": 1e4, "BACKGROUND_MARGIN": 10, "LEAST_CLOSING": 2}
# Shares above this are moved by their distance from 1.
NEARLY_ALL = 0.8
EXCLUDED = {
    "WHOLE_SIDE down": "time and memory: strips give the same picture",
    "STRIP_ROWS up": "memory: strips of any height give the same picture",
    "STRIP_ROWS down": "time: strips of any height give the same picture",
    "FIT_CONVERGED down": "time: more steps move the fit by less than a grey level",
    "BACKGROUND_MARGIN up": "time: more paper than is shown changes nothing",
    "LINEAR_SCALE up": "time: both interpolations show every pixel there",
}


def mutants(module):
    """The threshold and the way it goes, its number before and after, the source."""
    for node in (each for each in module.body if isinstance(each, ast.Assign)):
        pairs = [(node.targets[0], node.value)]
        if isinstance(node.targets[0], ast.Tuple):
            pairs = zip(node.targets[0].elts, node.value.elts, strict=True)
        pairs = [(ast.unparse(name), value) for name, value in pairs]
        for name, part in (
            (n, p) for n, v in pairs if n.isupper() for p in ast.walk(v)
        ):
            if isinstance(part, ast.Constant) and isinstance(part.value, int | float):
                before, factor = part.value, FACTORS.get(name, FACTOR)
                for way, times in ((" up", factor), (" down", 1 / factor)):
                    part.value = moved(before, times)
                    yield name + way, before, part.value, ast.unparse(module)
                part.value = before


def moved(value, factor):
    if isinstance(value, int):
        pick, step = (max, 1) if factor > 1 else (min, -1)
        return pick(round(value * factor), value + step)
    return 1 - (1 - value) / factor if NEARLY_ALL < value < 1 else value * factor


def is_killed(folder, module):
    """The module's own tests run first, and the first failure ends them."""
    stages = dict.fromkeys([module, *QUICK] if module in QUICK else [module])
    tests = [f"tests/test_{stage}.py" for stage in stages]
    # Plug-ins take longer than the tests, and conftest.py would load the service.
    options = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", *tests]
    command = [sys.executable, "-B", "-m", "pytest", *options]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    return run.returncode != 0


def main(folder):
    print("| module | threshold | is | becomes | result |\n|---|---|---|---|---|")
    results = []
    for module in sys.argv[1:] or MODULES:
        file = folder / "recognition" / f"{module}.py"
        source = file.read_text()
        assert not is_killed(folder, module), f"Tests of {module} fail as it is."
        for name, before, after, changed in mutants(ast.parse(source)):
            file.write_text(changed)
            killed = name not in EXCLUDED and is_killed(folder, module)
            results.append("killed" if killed else EXCLUDED.get(name, "survived"))
            row = (module, name, f"{before:g}", f"{after:.6g}", results[-1])
            print(f"| {' | '.join(row)} |", flush=True)
        file.write_text(source)
    return int("survived" in results)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        ignored = ignore_patterns(".*", "__pycache__", "uploads")
        sys.exit(main(copytree(ROOT, Path(folder) / "copy", ignore=ignored)))

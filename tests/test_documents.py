"""Every document of the repository: its links, files, commands and their options."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = [".github", "benchmarks", "deploy", "recognition", "static", "tests"]
FOLDERS += ["training"]
FOUND = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")]
# What was installed or rendered there brings documents of its own.
DOCUMENTS = [*ROOT.glob("*.md"), *(path for path in FOUND if "cache" not in path.parts)]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = dict(re.findall(r"^([a-z-]+):(.*\n(?:\t.*\n)*)", MAKEFILE, re.M))
VARIABLES = set(re.findall(r"\$\(([A-Z]+)\)", MAKEFILE))
# A code block, or code within a text, which may be broken.
CODE = re.compile(r"^```\w*\n(.*?)^```|`([^`]+)`", re.M | re.S)
IMAGE_OR_LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(rf"^(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*$")
# Made when something runs.
MADE = {"static/uploads/", "training/cache/", "training/cache", "benchmarks/cache"}


@pytest.fixture(params=DOCUMENTS, ids=NAMES)
def document(request):
    return request.param


def code_of(document):
    found = CODE.findall(document.read_text())
    return [block or " ".join(span.split()) for block, span in found]


def headings(text):
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in titles}


def commands(document, pattern):
    """What matches in the code, each with the rest of its line."""
    return [
        (*match.groups(), line[match.end() :].split("#")[0])
        for code in code_of(document)
        for line in code.splitlines()
        for match in re.finditer(pattern, line)
    ]


def source_of(module):
    file = ROOT / module.replace(".", "/")
    file = file / "__main__.py" if file.is_dir() else file.with_suffix(".py")
    assert file.is_file(), f"python -m {module}"
    return file.read_text()


def options(text):
    return re.findall(r"(?<![\w-])--[a-z-]+", text)


def test_links_lead_somewhere(document):
    for link in IMAGE_OR_LINK.findall(document.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, heading = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not heading or heading in headings(target.read_text()), link


def test_files_that_are_named_exist(document):
    for code in code_of(document):
        if FILE.match(code) and code not in MADE:
            assert (ROOT / code).exists(), code


def test_make_has_the_targets_and_the_variables(document):
    # Not where a package of that name is installed.
    make = r"(?:^|&& |\bsudo |[A-Z_]+=\S+ )make ([\w-]+)"
    for target, rest in commands(document, make):
        assert target in TARGETS, f"make {target}"
        rest, _, passed_on = rest.partition("OPTIONS=")
        named = re.findall(r"\b([A-Z]+)=", rest)
        assert set(named) <= VARIABLES, f"make {target}{rest}"
        if passed_on:
            (module,) = re.findall(r"python -m (benchmarks\S+)", TARGETS[target])
            for option in options(passed_on):
                assert f'"{option}"' in source_of(module), f"make {target} {option}"


def test_modules_that_are_run_exist_and_have_the_options(document):
    ours = r"python -m ((?:benchmarks|tests|training)[\w.]*)"
    for module, rest in commands(document, ours):
        source = source_of(module)
        for option in options(rest):
            assert f'"{option}"' in source, f"python -m {module} {option}"


def test_classify_has_the_options(document):
    labelling = (ROOT / "labelling.py").read_text()
    for (rest,) in commands(document, r"flask --app app classify"):
        for option in options(rest):
            assert f'"{option}"' in labelling, option


def test_something_is_checked():
    every = [code for document in DOCUMENTS for code in code_of(document)]
    assert len(DOCUMENTS) > 8
    assert any("make run" in code for code in every)
    assert any("python -m tests.hostile" in code for code in every)

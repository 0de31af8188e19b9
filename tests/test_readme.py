"""The example reply and the links of the README."""

import json
import re
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLE = re.search(r"^\$ curl -F file=@(\S+) http://\S+\n(\{.*\})$", README, re.M)


def test_curl_of_the_readme_gets_the_reply_of_the_readme(server):
    picture, reply = ROOT / EXAMPLE[1], json.loads(EXAMPLE[2])
    with picture.open("rb") as file:
        answer = requests.post(
            f"{server.url}/predict", files={"file": file}, timeout=60
        )
    given = answer.json()
    assert given["box"] == reply["box"]
    first, expected = (each["classification_result"][0] for each in (given, reply))
    assert first["class"] == expected["class"]
    assert first["prob"] == pytest.approx(expected["prob"], abs=0.5)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w./]+)[)#]", README))))
def test_links_of_the_readme_lead_somewhere(path):
    assert (ROOT / path).exists()

"""Read pictures with one program: python -m benchmarks.baselines NAME [OPTION] < PATHS

Prints for each path a line of JSON, the text that was read. Each function here runs in
an environment that may lack the packages of the others.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, run

from benchmarks.environments import ROOT

Read = Callable[[str], str]


def this_service(option: str) -> Read:
    """As POST /predict reads a picture: a "number", or one "digit"."""
    from recognition.inference import Recogniser
    from recognition.model import load_model

    recogniser = Recogniser(load_model(ROOT / "model.keras"))

    def read(path: str) -> str:
        answer = recogniser.recognise(Path(path).read_bytes(), max_pixels=10**9)
        return answer.text if option == "number" else str(answer.ranking()[0][0])

    return read


def tesseract(page_segmentation_mode: str) -> Read:
    """It fails on some pictures: then it has read nothing."""
    mode = ["--psm", page_segmentation_mode]
    command = ["stdout", *mode, "-c", "tessedit_char_whitelist=0123456789"]
    return lambda path: (
        run(
            ["tesseract", path, *command], stdout=PIPE, stderr=DEVNULL, text=True
        ).stdout
    )


def rapidocr(option: str) -> Read:
    """It looks for lines and reads each, or takes the picture for one "line"."""
    from rapidocr import RapidOCR

    # As many threads as cores would wait for each other on a busy machine.
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1}
    engine = RapidOCR(params={"Global.log_level": "error", **threads})
    is_whole = option != "line"

    def read(path: str) -> str:
        result = engine(path, use_det=is_whole, use_cls=is_whole)
        return "\n".join(getattr(result, "txts", None) or ())

    return read


def digit_recognizer() -> Read:
    from digit_recognizer import DigitRecognizer

    recognizer = DigitRecognizer()
    # The package's own function: a file's path to a digit.
    return lambda path: str(recognizer.predict(path))


if __name__ == "__main__":
    # The same package, in an environment for each of its models.
    rapidocr_v4 = rapidocr_v6 = rapidocr
    read = globals()[sys.argv[1]](*sys.argv[2:])
    for line in sys.stdin:
        print(json.dumps(read(line.rstrip("\n"))), flush=True)

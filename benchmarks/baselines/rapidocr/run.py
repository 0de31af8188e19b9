"""RapidOCR: it finds the text and reads it, with --recognition-only it only reads."""

import sys

from rapidocr_onnxruntime import RapidOCR

from benchmarks.baselines import first_digit

IS_WHOLE = "--recognition-only" not in sys.argv
ENGINE = RapidOCR()


def read(path: str) -> int | None:
    lines, _ = ENGINE(path, use_det=IS_WHOLE, use_cls=IS_WHOLE)
    # A line is a text and its score, after its box where it was looked for.
    return first_digit("".join(line[-2] for line in lines or []))

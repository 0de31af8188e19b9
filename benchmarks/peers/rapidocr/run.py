"""RapidOCR: it finds the text and reads it, with --recognition-only it only reads."""

import sys

from rapidocr_onnxruntime import RapidOCR

from benchmarks.peers.protocol import answer_each, first_digit, versions_of

IS_WHOLE = "--recognition-only" not in sys.argv
ENGINE = RapidOCR()


def read(path: str) -> int | None:
    lines, _ = ENGINE(path, use_det=IS_WHOLE, use_cls=IS_WHOLE)
    # A line is a text and how sure it is, after its box where it was looked for.
    return first_digit("".join(line[-2] for line in lines or []))


if __name__ == "__main__":
    answer_each(read, versions_of("rapidocr-onnxruntime", "onnxruntime"))

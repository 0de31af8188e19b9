"""Tesseract's command line, told that a picture is a single digit."""

from subprocess import check_output

from benchmarks.baselines import first_digit

OPTIONS = ["--psm", "10", "-c", "tessedit_char_whitelist=0123456789"]


def read(path: str) -> int | None:
    command = ["tesseract", path, "stdout", *OPTIONS]
    return first_digit(check_output(command, text=True))

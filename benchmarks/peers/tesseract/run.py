"""Tesseract's command line, told that a picture is a single digit."""

import subprocess

from benchmarks.peers.protocol import answer_each, first_digit

ONE_DIGIT = ["--psm", "10", "-c", "tessedit_char_whitelist=0123456789"]


def tesseract(*arguments: str) -> str:
    command = ["tesseract", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read(path: str) -> int | None:
    return first_digit(tesseract(path, "stdout", *ONE_DIGIT))


if __name__ == "__main__":
    answer_each(read, tesseract("--version").splitlines()[0])

import re


def first_digit(text: str) -> int | None:
    found = re.search("[0-9]", text)
    return int(found[0]) if found else None

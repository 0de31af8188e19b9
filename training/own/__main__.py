"""Train on one's own pictures: python -m training.own --photos DIR [--new]

DIR/0/ … DIR/9/ hold JPEG and PNG files. Fine-tunes model.keras, or with --new trains a
small network on plain resizes. A tenth of the pictures is held back, and only a model
that reads no fewer of them replaces model.keras.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from training.own.pictures import CannotTrain, labelled_files

MODEL_FILE = Path(__file__).parents[2] / "model.keras"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="DIR/0/ … DIR/9/")
    parser.add_argument("--new", action="store_true", help="train a small network")
    parser.add_argument("--model", type=Path, default=MODEL_FILE)
    options = parser.parse_args(arguments)
    try:
        files = labelled_files(options.photos)
        # TensorFlow takes seconds to load; a wrong folder is reported before.
        from training.own.replacing import train_on

        train_on(files, options.model, options.new)
    except CannotTrain as error:
        sys.exit(str(error))


def silence_native_log() -> None:
    """TensorFlow's C++ writes to descriptor 2; what Python writes still appears."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    silence_native_log()
    main()

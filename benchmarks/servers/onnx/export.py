"""model.keras as ONNX: python -m benchmarks.servers.onnx.export TARGET"""

import sys
from pathlib import Path

import keras

MODEL = Path(__file__).parents[3] / "model.keras"


def export(target: Path) -> None:
    model, part = keras.models.load_model(MODEL, compile=False), target.with_suffix("")
    picture = keras.InputSpec("float32", (1, *model.input_shape[1:]), name="picture")
    model.export(part, format="onnx", input_signature=[picture], verbose=False)
    # Written last: under its final name it is complete.
    part.replace(target)


if __name__ == "__main__":
    export(Path(sys.argv[1]))

"""model.keras as ONNX with 8 bits: python -m benchmarks.servers.onnx.export TARGET

ONNX Runtime advises static quantization for convolutions: it takes a third of the time
that 32 bits do.
"""

import sys
from pathlib import Path

import keras
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from recognition.decoding import decode
from recognition.framing import findings
from settings import MAX_PIXELS

ROOT = Path(__file__).parents[3]
PICTURES = sorted((ROOT / "tests" / "resources").glob("*/[0-9]/*.*g"))


class Calibration(CalibrationDataReader):
    """Inputs of the model, whose activations tell the ranges to round in."""

    def __init__(self) -> None:
        pictures = (decode(path.read_bytes(), MAX_PIXELS) for path in PICTURES)
        inputs = (next(findings(picture)).input.pixels for picture in pictures)
        self.inputs = ({"picture": pixels[None]} for pixels in inputs)

    def get_next(self) -> dict | None:
        return next(self.inputs, None)


def export(target: Path) -> None:
    model = keras.models.load_model(ROOT / "model.keras", compile=False)
    exact, part = target.with_suffix(".exact"), target.with_suffix(".part")
    batch = keras.InputSpec("float32", (None, *model.input_shape[1:]), name="picture")
    model.export(exact, format="onnx", input_signature=[batch], verbose=False)
    quant_pre_process(exact, exact, skip_symbolic_shape=True)
    quantize_static(
        exact, part, Calibration(), per_channel=True, weight_type=QuantType.QInt8
    )
    exact.unlink()
    # Written last: under its final name it is complete.
    part.replace(target)


if __name__ == "__main__":
    export(Path(sys.argv[1]))

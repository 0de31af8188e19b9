"""What every baseline does with an upload: prepare, classify, save, rank, answer.

MODEL names the ONNX file, UPLOADS the folder for the pictures, PUBLIC_URL what stands
before their names, PREPARATION whether a picture is prepared the usual way or as this
service does it ("usual", "our").
"""

import os
import secrets
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from recognition.decoding import EXTENSIONS, decode
from recognition.framing import ModelInput, findings
from settings import MAX_PIXELS

UPLOADS = Path(os.environ["UPLOADS"])
PUBLIC_URL = os.environ["PUBLIC_URL"]


def usual_preparation(data: bytes) -> tuple[ModelInput, str]:
    image = Image.open(BytesIO(data))
    pixels = np.asarray(image.convert("RGB").resize((90, 140)), np.float32) / 255
    return ModelInput(pixels, None), image.format


def our_preparation(data: bytes) -> tuple[ModelInput, str]:
    picture = decode(data, MAX_PIXELS)
    return next(findings(picture)).input, picture.format


IS_OURS = os.environ["PREPARATION"] == "our"
prepare = our_preparation if IS_OURS else usual_preparation


class Model:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        # Two workers on two cores: more threads would only wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, 140, 90, 3) → probabilities (n, 10)."""
        return self.session.run(None, {"picture": pixels})[0]


def answer(
    data: bytes, prepared: tuple[ModelInput, str], probabilities: np.ndarray
) -> dict:
    (_, box), picture_format = prepared
    name = f"{secrets.token_hex(16)}.{EXTENSIONS[picture_format][0]}"
    (UPLOADS / name).write_bytes(data)
    percent = (100 * probabilities.astype(float)).round(2).tolist()
    ranking = np.argsort(-probabilities, kind="stable").tolist()
    return {
        "classification_result": [
            {"class": str(digit), "prob": percent[digit]} for digit in ranking
        ],
        "image_url": f"{PUBLIC_URL}/{name}",
        "box": box and box._asdict(),
    }

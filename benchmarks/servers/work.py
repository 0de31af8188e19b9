"""What every peer does with an upload: prepare, read, rank, save, answer.

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

CLASS = list("0123456789")
EXTENSION = {"JPEG": "jpg", "PNG": "png"}
UPLOADS = Path(os.environ["UPLOADS"])
PUBLIC_URL = os.environ["PUBLIC_URL"]


def usually(data: bytes) -> tuple[np.ndarray, None, str]:
    """What tutorials do, without their copy on disk that is read again."""
    image = Image.open(BytesIO(data))
    pixels = np.asarray(image.convert("RGB").resize((90, 140)), np.float32) / 255
    return pixels, None, image.format


if os.environ["PREPARATION"] == "our":
    from preprocessing import prepare
else:
    prepare = usually


class Digits:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        # Two workers on two cores: more threads would only wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def answer(self, data: bytes) -> dict:
        pixels, box, picture_format = prepare(data)
        (probabilities,), *_ = self.session.run(None, {"picture": pixels[None]})
        name = f"{secrets.token_hex(16)}.{EXTENSION[picture_format]}"
        (UPLOADS / name).write_bytes(data)
        return {
            "classification_result": ranked(probabilities),
            "image_url": f"{PUBLIC_URL}/{name}",
            "box": box and box._asdict(),
        }


def ranked(probabilities: np.ndarray) -> list[dict]:
    percent = (100 * probabilities.astype(float)).tolist()
    ranking = np.argsort(-probabilities, kind="stable").tolist()
    return [{"class": CLASS[i], "prob": round(percent[i], 2)} for i in ranking]

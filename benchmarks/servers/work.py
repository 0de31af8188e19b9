"""What every baseline does with an upload, as the environment says.

MODEL: the LiteRT file; UPLOADS: a folder; PREPARATION: "usual" or "our".
"""

import os
import secrets
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from recognition.decoding import decode
from recognition.framing import findings


class Work:
    def __init__(self) -> None:
        # Two workers on two cores: more threads would only wait for each other.
        self.interpreter = Interpreter(os.environ["MODEL"], num_threads=1)
        self.interpreter.allocate_tensors()
        self.source = self.interpreter.get_input_details()[0]["index"]
        self.target = self.interpreter.get_output_details()[0]["index"]
        self.lock = Lock()

    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (140, 90, 3) → probabilities (10,)."""
        with self.lock:
            self.interpreter.set_tensor(self.source, pixels[None])
            self.interpreter.invoke()
            return self.interpreter.get_tensor(self.target)[0]

    def answer(self, data: bytes) -> dict:
        if os.environ["PREPARATION"] == "our":
            pixels, box = next(findings(decode(data, max_pixels=10**9))).input
        else:
            image = Image.open(BytesIO(data)).convert("RGB").resize((90, 140))
            pixels, box = np.asarray(image, np.float32) / 255, None
        percent = 100 * self.classify(pixels).astype(float)
        name = f"{secrets.token_hex(16)}.jpg"
        Path(os.environ["UPLOADS"], name).write_bytes(data)
        return {
            "classification_result": [
                {"class": str(digit), "prob": round(percent[digit], 2)}
                for digit in np.argsort(-percent, kind="stable")
            ],
            "image_url": f"http://127.0.0.1/static/uploads/{name}",
            "box": box and box._asdict(),
        }

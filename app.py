"""The digit recognition service: POST /predict reads the digit in a picture."""

import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from posixpath import normpath

import numpy as np
from flask import Flask, abort, jsonify, request, send_file
from flask_cors import CORS
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import get_current_url

import intact
from cohort import stage_ends
from labelling import label_pictures
from preprocessing import InvalidImage, Prepared, TooManyPixels, looks
from runtime import compiled, keras
from settings import (
    MAX_PIXELS,
    MAX_UPLOAD_BYTES,
    PORT,
    TRUSTED_PROXIES,
    UPLOADS_MAX_AGE_DAYS,
    UPLOADS_MAX_BYTES,
)
from uploads import NoRoom, Uploads, is_upload

# Pillow has one for every oddity of a picture, which could be thousands in each.
warnings.filterwarnings("ignore", module="PIL")

ROOT = Path(__file__).parent
CLASS = list("0123456789")
CLASS_LEN = len(CLASS)
EXTENSIONS = {"JPEG": ("jpg", "jpeg"), "PNG": ("png",)}
ALLOWED_EXT = {extension for known in EXTENSIONS.values() for extension in known}
# Below this best probability a picture is looked at in other ways too.
SURE = 0.97
# What each look counts. The sum is above 1, as what several see is surer than each of
# them says.
WEIGHTS = np.array([[0.35], [0.35], [0.2], [0.2]])
# No look alone rules a digit out.
NEARLY_IMPOSSIBLE = 1e-9
# What a multipart form may hold besides the file: boundaries, headers, small fields.
FORM_BYTES = 1_000_000
# Of a form; as many as Flask allows.
MAX_PARTS = 1000
# The page runs and shows what this service alone sends, and nobody can frame it.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

MODEL = keras.models.load_model(ROOT / "model.keras", compile=False)
INPUT_SHAPE = MODEL.input_shape[1:]
FORWARD = compiled(MODEL)
FORWARD_INPUT = FORWARD.get_input_details()[0]["index"]
FORWARD_OUTPUT = FORWARD.get_output_details()[0]["index"]
# LiteRT holds the picture between the calls below.
FORWARD_LOCK = threading.Lock()


class Service(Flask):
    def send_static_file(self, filename):
        # Spelled otherwise it would be served as well.
        path = Path(normpath(filename))
        if path.parts[:1] == ("uploads",) and not is_upload(path.name):
            abort(404)
        return super().send_static_file(filename)


app = Service(__name__)
app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD_BYTES + FORM_BYTES
app.json.sort_keys = False
app.cli.add_command(label_pictures)
CORS(app, expose_headers="Retry-After")
if TRUSTED_PROXIES:
    app.wsgi_app = ProxyFix(
        app.wsgi_app,
        x_for=TRUSTED_PROXIES,
        x_proto=TRUSTED_PROXIES,
        x_host=TRUSTED_PROXIES,
        x_prefix=TRUSTED_PROXIES,
    )

UPLOADS = Uploads(ROOT / "static" / "uploads", UPLOADS_MAX_BYTES, UPLOADS_MAX_AGE_DAYS)
threading.Thread(target=UPLOADS.keep_bounded, daemon=True).start()


@app.get("/")
def index():
    # Browsers ask for HTML; who takes anything, such as curl, gets JSON.
    kinds = ["application/json", "text/html"]
    if request.accept_mimetypes.best_match(kinds) == "text/html":
        response = send_file(ROOT / "static" / "index.html")
        response.headers.update(PAGE_HEADERS)
    else:
        response = jsonify(message="Digit Recognition API")
    response.vary.add("Accept")
    return response


@app.get("/ready")
def ready():
    if not model_answers():
        abort(503, "The model does not answer.")
    return {"ready": True}


@app.post("/predict")
def predict():
    filename, data = posted_file()
    if not filename:
        abort(400, "No file uploaded")
    extension = extension_of(filename)
    if extension not in ALLOWED_EXT:
        abort(400, "Not allowed file extension.")
    is_saved = wants_saving()
    if is_saved and not (request.host and "Host" in request.headers):
        abort(400, "The header Host is missing or malformed.")
    check_size(data)
    stage_ends()
    picture, probabilities = read(data)
    result = ranked(probabilities)
    known = EXTENSIONS[picture.format]
    image_url = None
    if is_saved:
        name = UPLOADS.save(data, extension if extension in known else known[0])
        stage_ends()
        root = root_url(request.scheme, request.host, request.root_path)
        image_url = f"{root}static/uploads/{name}"
    box = picture.box and picture.box._asdict()
    return {"classification_result": result, "image_url": image_url, "box": box}


@app.get("/openapi.json")
def openapi():
    return send_file(ROOT / "static" / "openapi.json", mimetype="application/json")


def posted_file() -> tuple[str, bytes]:
    """Name and content of the form's part `file`; an empty name if there is none."""
    if request.mimetype != "multipart/form-data":
        return "", b""
    body, boundary = request.get_data(), request.mimetype_params.get("boundary", "")
    if len(body) >= app.config["MAX_CONTENT_LENGTH"]:
        raise RequestEntityTooLarge  # of a longer one of no given length this is left
    try:
        parts = parts_of(body, boundary)
        files = [(part.filename, data) for part, data in parts if part.name == "file"]
    except MultipartError:
        return "", b""
    return next((file for file in files if file[0]), ("", b""))


def parts_of(body: bytes, boundary: str) -> Iterator[tuple[MultipartSegment, bytes]]:
    # Werkzeug's own parser takes five to ten times as long. Names may be in whatever
    # encoding a client has: all that counts is how they end.
    with PushMultipartParser(
        boundary,
        max_segment_count=MAX_PARTS,
        header_charset="latin1",
        strict=True,
    ) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                part, data = event, b""
            elif event:
                data = event
            else:
                yield part, data


@lru_cache(maxsize=16)
def root_url(scheme: str, host: str, root_path: str) -> str:
    """What `request.root_url` is, which takes its time to quote it for each request."""
    return get_current_url(scheme, host, root_path)


def extension_of(filename: str) -> str:
    _, dot, extension = filename.rpartition(".")
    return extension.lower() if dot else ""


def wants_saving() -> bool:
    answer = request.args.get("save", "true").lower()
    if answer not in ("true", "false"):
        # Guessing could store a picture that was meant to stay private.
        abort(400, "The parameter save is either true or false.")
    return answer == "true"


def check_size(data: bytes) -> None:
    if not data:
        abort(400, "The file is empty.")
    if len(data) > MAX_UPLOAD_BYTES:
        raise RequestEntityTooLarge


def read(data: bytes) -> tuple[Prepared, np.ndarray]:
    """A picture as the model saw it, and the probability of each class.

    Raises InvalidImage for what is not a picture.
    """
    intact.check(data)
    ways = looks(data, MAX_PIXELS)
    first = next(ways)
    stage_ends()
    answer = classify(first.pixels)
    stage_ends()
    if answer.max() >= SURE:
        return first, answer
    # Perhaps the ink was taken for paper, or shade for ink.
    seen = [first, *ways]
    answers = np.array([answer, *(classify(look.pixels) for look in seen[1:])])
    probabilities = pooled(answers)
    clearest = answers[:, probabilities.argmax()].argmax()
    return seen[clearest], probabilities


def pooled(answers: np.ndarray) -> np.ndarray:
    """Each look's probabilities, (4, 10), → those by all of them, (10,).

    A logarithmic opinion pool (Genest & Zidek 1986).
    """
    product = np.prod(np.maximum(answers, NEARLY_IMPOSSIBLE) ** WEIGHTS, axis=0)
    return product / product.sum()


def classify(pixels: np.ndarray) -> np.ndarray:
    """One picture of INPUT_SHAPE → the probability of each class."""
    with FORWARD_LOCK:
        FORWARD.set_tensor(FORWARD_INPUT, pixels[np.newaxis])
        FORWARD.invoke()
        return FORWARD.get_tensor(FORWARD_OUTPUT)[0]


def ranked(probabilities: np.ndarray) -> list[dict]:
    ranking = np.argsort(-probabilities, kind="stable").tolist()
    percent = (100 * probabilities.astype(float)).tolist()
    return [{"class": CLASS[i], "prob": round(percent[i], 2)} for i in ranking]


def model_answers() -> bool:
    try:
        return bool(np.isfinite(classify(np.ones(INPUT_SHAPE, np.float32))).all())
    except RuntimeError:
        app.logger.exception("The model failed.")
        return False


@app.errorhandler(HTTPException)
def http_error(error):
    response = error.get_response()
    response.data = app.json.response(error=error.description).data
    response.content_type = "application/json"
    return response


@app.errorhandler(RequestEntityTooLarge)
def too_many_bytes(error):
    return {"error": f"A file may have at most {MAX_UPLOAD_BYTES:,} bytes."}, 413


@app.errorhandler(InvalidImage)
def invalid_image(error):
    status = 413 if isinstance(error, TooManyPixels) else 400
    return {"error": str(error)}, status  # this text alone is written for the client


@app.errorhandler(NoRoom)
def no_room(error):
    app.logger.error("No room in %s: %s", UPLOADS.folder, error.__cause__)
    return {"error": "There is no room to save the picture."}, 507


@app.after_request
def shield_pictures(response):
    response.headers["X-Content-Type-Options"] = "nosniff"
    # By type, not by path, which may be spelled /static/./uploads/NAME as well.
    if response.mimetype.startswith("image/"):
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


# The first call is slow, and a model that fails must not start.
classify(np.ones(INPUT_SHAPE, np.float32))

if __name__ == "__main__":
    app.run(host="0.0.0.0", port=PORT, debug=False, threaded=True)

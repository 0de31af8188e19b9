"""The digit recognition service: POST /predict reads the digit in a picture."""

import logging
import sys
import warnings
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from random import choice
from typing import IO, Any

import flask_swagger_ui
import numpy as np
from flask import Response, abort, jsonify, request, send_file, send_from_directory
from flask.json.provider import DefaultJSONProvider
from flask_cors import CORS
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)
from werkzeug.middleware.proxy_fix import ProxyFix

import settings
from labelling import label_pictures  # isort: split

from recognition import decoding
from recognition.batching import BatchingRecogniser, Busy
from recognition.decoding import InvalidImage
from recognition.inference import Recogniser, Recognition
from recognition.model import UnfitModel, load_model
from recognition.numbers import Digit, ranking
from uploads import (
    Refusal,
    Service,
    SlowClients,
    StorageFull,
    Uploads,
    is_connected,
    uploaded_file,
)

# Pillow warns about every oddity of a file, thousands of times in a crafted one.
warnings.filterwarnings("ignore", module="PIL")

logging.basicConfig(format="[%(asctime)s] %(levelname)s in %(name)s: %(message)s")

__version__ = "1.0.0"
ROOT = Path(__file__).parent
MODEL_FILE = ROOT / "model.keras"
# Names that the tutorial's app.py has too.
CLASS = list("0123456789")
CLASS_LEN = len(CLASS)
ALLOWED_EXT = decoding.ALLOWED_EXTENSIONS
# What a multipart form may hold besides the file: boundaries, headers, small fields.
FORM_BYTES = 1_000_000
# Random, so that refused clients do not all return together.
RETRY_AFTER_SECONDS = range(2, 11)
# A page loads only what this service sends, or holds itself, and no site can frame it.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

try:
    MODEL = load_model(MODEL_FILE)
    RECOGNISER = BatchingRecogniser(
        Recogniser(MODEL),
        settings.MAX_UPLOAD_BYTES,
        settings.MAX_PIXELS,
        settings.MAX_WAIT_SECONDS,
    )
except UnfitModel as error:
    print(error, file=sys.stderr)
    raise SystemExit(4) from None  # gunicorn stops then, instead of trying again
MODEL_SHA256 = sha256(MODEL_FILE.read_bytes()).hexdigest()

app = Service(__name__)
# Werkzeug refuses a body as soon as it has reached this.
app.config["MAX_CONTENT_LENGTH"] = settings.MAX_UPLOAD_BYTES + FORM_BYTES + 1
app.json = as_written = DefaultJSONProvider(app)
as_written.sort_keys = False
app.extensions["recogniser"] = RECOGNISER
app.cli.add_command(label_pictures)
CORS(app, expose_headers="Retry-After")
app.wsgi_app = SlowClients(app.wsgi_app, settings.MAX_REQUEST_SECONDS)
if count := settings.TRUSTED_PROXIES:
    app.wsgi_app = ProxyFix(app.wsgi_app, count, count, count, x_prefix=count)

UPLOADS = Uploads(
    ROOT / "static" / "uploads",
    settings.UPLOADS_MAX_BYTES,
    settings.UPLOADS_MAX_AGE_DAYS,
)


@app.get("/")
def index():
    # Browsers ask for HTML; what accepts anything, such as curl, gets JSON.
    kinds = ["application/json", "text/html"]
    if request.accept_mimetypes.best_match(kinds) == "text/html":
        response = page("index.html")
    else:
        response = jsonify(message="Digit Recognition API")
        for path, relation in (("docs", "doc"), ("openapi.json", "desc")):
            link = f'<{request.root_path}/{path}>; rel="service-{relation}"'
            response.headers.add("Link", link)
    response.vary.add("Accept")
    return response


def page(name: str) -> Response:
    response = send_file(ROOT / "static" / name)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@app.get("/ready")
def ready():
    if not RECOGNISER.recogniser.is_working():
        abort(503, "The model does not answer.")
    return {"ready": True}


@app.get("/info")
def info():
    return {
        "version": __version__,
        "model": {
            "name": MODEL.name,
            "sha256": MODEL_SHA256,
            "input_shape": MODEL.inputs[0].shape[1:],
            "classes": CLASS,
            "preparation": RECOGNISER.recogniser.preparation.name,
        },
    }


@app.post("/predict")
def predict():
    with uploaded_file() as upload:
        file, extension = upload.file, decoding.extension_of(upload.filename)
        if not upload.filename:
            raise Refusal("No file uploaded", "no_file", upload.how_to_send())
        if extension not in ALLOWED_EXT:
            hint = decoding.extension_hint(extension, file.read(1000))
            raise Refusal("Not allowed file extension.", "extension_not_allowed", hint)
        is_saved, shows_input = upload.flag("save", True), upload.flag("input", False)
        if is_saved and not (request.host and "Host" in request.headers):
            raise Refusal("The header Host is missing or malformed.", "invalid_host")
        recognition = RECOGNISER.recognise(file, is_connected)
        image_url = save(file, extension, recognition.format) if is_saved else None
    return prediction(recognition, image_url, shows_input)


def save(file: IO[bytes], extension: str, picture_format: str) -> str:
    """Store an upload under an extension of its format, and return its address."""
    known = decoding.EXTENSIONS[picture_format]
    name = UPLOADS.save(file, extension if extension in known else known[0])
    return f"{request.scheme}://{request.host}{request.root_path}/static/uploads/{name}"


def prediction(
    recognition: Recognition, image_url: str | None, shows_input: bool
) -> dict:
    answer: dict[str, Any] = {
        "classification_result": ranked(recognition.probabilities),
        "image_url": image_url,
        "box": recognition.box and recognition.box._asdict(),
        "digits": [digit_entry(each, shows_input) for each in recognition.digits],
        "text": recognition.text,
    }
    if recognition.is_truncated:
        answer["truncated"] = True
    if shows_input:
        data = b64encode(recognition.input_png()).decode()
        answer["input"] = f"data:image/png;base64,{data}"
    return answer


def digit_entry(digit: Digit, has_ranking: bool) -> dict:
    box = digit.box and digit.box._asdict()
    entry = {"class": str(digit.label), "prob": digit.percent, "box": box}
    return entry | ({"ranking": ranked(digit.probabilities)} if has_ranking else {})


def ranked(probabilities: np.ndarray) -> list[dict]:
    return [{"class": str(digit), "prob": p} for digit, p in ranking(probabilities)]


@app.get("/openapi.json")
def openapi():
    return send_file(ROOT / "static" / "openapi.json", mimetype="application/json")


@app.get("/docs")
def docs():
    return page("docs/index.html")


@app.get("/docs/<name>")
def swagger_ui(name):
    return send_from_directory(SWAGGER_UI, name)


def describe_model() -> str:
    recogniser = RECOGNISER.recogniser
    return (
        f"Model {MODEL.name} ({MODEL_SHA256[:12]}), preparation: "
        f"{recogniser.preparation.name}, run by {recogniser.forward_pass}."
    )


# Of an error, `error` is a sentence, `code` for programs, and `hint` says what would be
# right.


def described(error: str, code: str, hint: str | None = None) -> dict[str, str]:
    return {"error": error, "code": code} | ({"hint": hint} if hint else {})


@app.errorhandler(HTTPException)
def http_error(error):
    code = getattr(error, "reason", error.name.lower().replace(" ", "_"))
    hint = getattr(error, "hint", None)
    if isinstance(error, StorageFull):
        app.logger.error("An upload cannot be stored: %s", error.__cause__)
    elif isinstance(error, NotFound):
        hint = f"{request.root_path}/docs describes what there is."
    elif isinstance(error, MethodNotAllowed):
        methods = {*(error.valid_methods or ())} - {"OPTIONS"}
        hint = f"It takes {' or '.join(sorted(methods))}."
    # Its headers, such as Allow, stay.
    response = error.get_response()
    response.data = app.json.dumps(described(error.description, code, hint)) + "\n"
    response.content_type = "application/json"
    return response


@app.errorhandler(InvalidImage)
def invalid_image(error):
    status = 413 if isinstance(error, decoding.TooLarge) else 400
    # Its sentence is written for the client.
    return described(str(error), error.code, error.hint), status


@app.errorhandler(RequestEntityTooLarge)
def too_many_bytes(_error):
    return invalid_image(decoding.too_many_bytes(settings.MAX_UPLOAD_BYTES))


@app.errorhandler(Busy)
def busy(_error):
    message = "The service is too busy; try again in a few seconds."
    return described(message, "busy"), 503, {"Retry-After": choice(RETRY_AFTER_SECONDS)}


@app.after_request
def add_security_headers(response):
    response.headers["X-Content-Type-Options"] = "nosniff"
    # By type, not by path, which may be spelled /static/./uploads/NAME as well.
    if response.mimetype.startswith("image/"):
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


if __name__ == "__main__":
    UPLOADS.request_cleanup()
    print(describe_model(), file=sys.stderr)
    app.run(host="0.0.0.0", port=settings.PORT, debug=False, threaded=True)

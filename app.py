"""The digit recognition service: POST /predict reads the digit in a picture."""

import sys
import warnings
from functools import partial
from hashlib import sha256
from pathlib import Path
from posixpath import normpath
from random import choice
from typing import BinaryIO

from flask import Flask, abort, jsonify, request, send_file
from flask_cors import CORS
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

import settings
from labelling import label_pictures
from recognition import decoding
from recognition.batching import BatchingRecogniser, Busy
from recognition.decoding import InvalidImage
from recognition.inference import Recogniser
from recognition.model import UnfitModel, load_model
from uploads import (
    SlowClients,
    StorageFull,
    Uploads,
    is_connected,
    is_upload,
    uploaded_file,
)

# Pillow warns about every oddity of a file, thousands of times in a crafted one.
warnings.filterwarnings("ignore", module="PIL")

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
# The page loads only what this service sends, and no site can frame it.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

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


class Service(Flask):
    def send_static_file(self, filename):
        # /static/./uploads/NAME is served as well.
        path = Path(normpath(filename))
        if path.parts[:1] == ("uploads",) and not is_upload(path.name):
            abort(404)
        return super().send_static_file(filename)


app = Service(__name__)
# Werkzeug refuses a body as soon as it has reached this.
app.config["MAX_CONTENT_LENGTH"] = settings.MAX_UPLOAD_BYTES + FORM_BYTES + 1
app.json.sort_keys = False
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
        response = send_file(ROOT / "static" / "index.html")
        response.headers.update(PAGE_HEADERS)
    else:
        response = jsonify(message="Digit Recognition API")
    response.vary.add("Accept")
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
    with uploaded_file(request) as (filename, file):
        if not filename:
            abort(400, "No file uploaded")
        extension = decoding.extension_of(filename)
        if extension not in ALLOWED_EXT:
            abort(400, "Not allowed file extension.")
        is_saved = wants_saving()
        recognition = RECOGNISER.recognise(file, partial(is_connected, request.environ))
        image_url = save(file, extension, recognition.format) if is_saved else None
    return {
        "classification_result": [
            {"class": CLASS[digit], "prob": percent}
            for digit, percent in recognition.ranking()
        ],
        "image_url": image_url,
        "box": recognition.box and recognition.box._asdict(),
        "digits": [
            {
                "class": CLASS[digit.label],
                "prob": digit.percent,
                "box": digit.box and digit.box._asdict(),
            }
            for digit in recognition.digits
        ],
        "text": recognition.text,
        **({"truncated": True} if recognition.is_truncated else {}),
    }


def save(file: BinaryIO, extension: str, picture_format: str) -> str:
    """Store an upload under an extension of its format, and return its address."""
    known = decoding.EXTENSIONS[picture_format]
    name = UPLOADS.save(file, extension if extension in known else known[0])
    return f"{request.scheme}://{request.host}{request.root_path}/static/uploads/{name}"


@app.get("/openapi.json")
def openapi():
    return send_file(ROOT / "static" / "openapi.json", mimetype="application/json")


def describe_model() -> str:
    recogniser = RECOGNISER.recogniser
    return (
        f"Model {MODEL.name} ({MODEL_SHA256[:12]}), preparation: "
        f"{recogniser.preparation.name}, run by {recogniser.forward_pass}."
    )


def wants_saving() -> bool:
    answer = request.args.get("save", "true").lower()
    if answer not in ("true", "false"):
        # Guessing could store a picture that was meant to stay private.
        abort(400, "The parameter save is either true or false.")
    is_saved = answer == "true"
    if is_saved and not (request.host and "Host" in request.headers):
        abort(400, "The header Host is missing or malformed.")
    return is_saved


@app.errorhandler(HTTPException)
def http_error(error):
    response = error.get_response()
    response.data = app.json.response(error=error.description).data
    response.content_type = "application/json"
    return response


@app.errorhandler(RequestEntityTooLarge)
def too_many_bytes(error):
    return {
        "error": f"A file may have at most {settings.MAX_UPLOAD_BYTES:,} bytes."
    }, 413


@app.errorhandler(InvalidImage)
def invalid_image(error):
    status = 413 if isinstance(error, decoding.TooLarge) else 400
    return {"error": str(error)}, status  # its sentence is written for the client


@app.errorhandler(Busy)
def busy(error):
    message = "The service is too busy; try again in a few seconds."
    return {"error": message}, 503, {"Retry-After": choice(RETRY_AFTER_SECONDS)}


@app.errorhandler(StorageFull)
def storage_full(error):
    app.logger.error("An upload cannot be stored: %s", error.__cause__)
    return {"error": "There is no room to save the picture."}, 507


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

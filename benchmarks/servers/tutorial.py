"""The app that tutorials on serving a Keras model write, with its weaknesses.

MODEL names the Keras file, UPLOADS the folder for the uploads.
"""

import os
from datetime import datetime

import numpy as np
from flask import Flask, jsonify, request, url_for
from flask_cors import CORS
from keras.models import load_model
from PIL import Image

UPLOADS = os.environ["UPLOADS"]
MODEL = load_model(os.environ["MODEL"])

app = Flask(__name__, static_folder=UPLOADS, static_url_path="/static/uploads")
CORS(app)


@app.route("/predict", methods=["POST"])
def predict():
    file = request.files["file"]
    ext = file.filename.split(".")[-1].lower()
    if ext not in ["jpg", "jpeg", "png"]:
        return jsonify({"error": "Not allowed file extension."}), 400
    filename = datetime.now().strftime("%Y%m%d%H%M%S%f") + "." + ext
    path = os.path.join(UPLOADS, filename)
    file.save(path)

    image = Image.open(path).convert("RGB").resize((90, 140))
    image = np.expand_dims(np.array(image) / 255.0, axis=0)
    prediction = MODEL.predict(image)[0]  # as tutorials do: that is what is measured

    result = [
        {"class": str(digit), "prob": round(float(prob) * 100, 2)}
        for digit, prob in enumerate(prediction)
    ]
    result.sort(key=lambda item: item["prob"], reverse=True)
    image_url = url_for("static", filename=filename, _external=True)
    return jsonify({"classification_result": result, "image_url": image_url})

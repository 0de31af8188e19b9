"""The app that tutorials on serving a Keras model write, with its weaknesses.

It is run in this folder; STATIC_FOLDER names the one for its uploads.
"""

import os
from datetime import datetime

import numpy as np
from flask import Flask, jsonify, request, url_for
from flask_cors import CORS
from keras.models import load_model
from PIL import Image

STATIC_FOLDER = os.environ["STATIC_FOLDER"]
UPLOAD_FOLDER = os.path.join(STATIC_FOLDER, "uploads")
os.makedirs(UPLOAD_FOLDER, exist_ok=True)

app = Flask(__name__, static_folder=STATIC_FOLDER, static_url_path="/static")
CORS(app)

CLASS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
CLASS_LEN = len(CLASS)
ALLOWED_EXT = ["jpg", "jpeg", "png"]
MODEL = load_model("../../../model.keras")


@app.route("/predict", methods=["POST"])
def predict():
    if "file" not in request.files:
        return jsonify({"error": "No file uploaded"}), 400
    file = request.files["file"]
    ext = file.filename.split(".")[-1].lower()
    if ext not in ALLOWED_EXT:
        return jsonify({"error": "Not allowed file extension."}), 400

    filename = datetime.now().strftime("%Y%m%d%H%M%S%f") + "." + ext
    path = os.path.join(UPLOAD_FOLDER, filename)
    file.save(path)
    if not os.path.exists(path):
        return jsonify({"error": "File not uploaded"}), 404

    image = Image.open(path).convert("RGB").resize((90, 140))
    image = np.array(image) / 255.0
    image = np.expand_dims(image, axis=0)
    prediction = MODEL.predict(image)[0]  # as tutorials do: that is what is measured

    result = []
    for i in range(CLASS_LEN):
        prob = round(float(prediction[i]) * 100, 2)
        result.append({"class": CLASS[i], "prob": prob})
    result = sorted(result, key=lambda item: item["prob"], reverse=True)
    image_url = url_for("static", filename="uploads/" + filename, _external=True)
    return jsonify({"classification_result": result, "image_url": image_url})

"""The usual way to serve a model from Python: ONNX Runtime behind FastAPI. `serving.py` starts it with uvicorn; PEER_MODEL names the file."""

import io
import os

import numpy
import onnxruntime
from fastapi import FastAPI, Request
from PIL import Image

options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    picture = Image.open(io.BytesIO(await request.body()))
    _, channels, height, width = given.shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.BILINEAR)
    pixels = numpy.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)[None]
    if "float" in given.type:
        pixels = pixels.astype(numpy.float32) / 255
    scores = session.run(None, {given.name: pixels})[0][0]
    best = int(scores.argmax())
    return {"index": best, "prob": float(scores[best])}

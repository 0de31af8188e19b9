"""Reads the digit in a picture: bytes in, probabilities and a box out.

A picture passes once through decoding, illumination, localization, framing and
inference. Nothing here knows of Flask, HTTP or the disk; training and evaluation use
the same functions as the service.
"""

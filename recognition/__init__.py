"""Reads the digits in a picture: bytes in, probabilities and boxes out.

One digit: decoding, illumination, localization, framing, inference. Where there may be
more, numbers.py looks for them with the detector, in a larger decoding if they are
small. Nothing here knows of Flask or HTTP; training and evaluation use the same
functions as the service.
"""

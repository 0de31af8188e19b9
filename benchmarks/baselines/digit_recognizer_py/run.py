"""digit-recognizer-py with the network it ships."""

from digit_recognizer import DigitRecognizer

read = DigitRecognizer().predict

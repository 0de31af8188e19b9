"""digit-recognizer-py with the network it ships."""

from digit_recognizer import DigitRecognizer

from benchmarks.peers.protocol import answer_each, versions_of

if __name__ == "__main__":
    versions = versions_of("digit-recognizer-py", "torch", "torchvision", "pillow")
    answer_each(DigitRecognizer().predict, versions)

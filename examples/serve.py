"""A server without a notebook: a decorated function, and plain Python.

    python examples/train.py
    python examples/serve.py

answers with the network of the best of those trainings: two processes behind one address, which go on when this script
has ended, until `metaml stop` ends them. Called with an argument, `read_digit` is the ordinary function that it looks
like.
"""

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from metaml import Serve, model

network = joblib.load(model("train-model") / "network.joblib")  # of the best trial of the last run


# Without "port" it is a free one, and the same the next time; 80 is for administrators alone.
@Serve(
    settings={"url": "/predict", "replicas": 2},
    package={"repository": "ada", "name": "digits", "publish": True},
)
def read_digit(image: np.ndarray):
    """Read a digit: 64 grey values between 0 and 1, row by row."""
    odds = network.predict_proba(image.reshape(1, 64))[0]
    return {"digit": odds.argmax(), "odds": odds.max()}


if __name__ == "__main__":
    server = read_digit()
    digits = load_digits()
    # What examples/train.py has kept from the network.
    _, images, _, truths = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, stratify=digits.target, random_state=7
    )
    right = sum(server.predict(image)["digit"] == truth for image, truth in zip(images[:60], truths, strict=False))
    print(f"{server.url} reads {right} of 60 held-out digits; `metaml stop {server.name}` ends it")

"""The same idea without a notebook: a decorated function, and plain Python.

    python examples/train.py

runs four trainings at once, each with its own hyperparameters, and shows a live table in the terminal. Called with
arguments, `train_model` is the ordinary function that it looks like.
"""

import random

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from tensorboard.summary import Writer

from metaml import Train, output, report

EPOCHS = 30

digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(
    digits.data / 16, digits.target, test_size=0.25, stratify=digits.target, random_state=7
)


def get_hyperparameters():
    while True:
        yield {
            "learning_rate": 10 ** random.normalvariate(-2.5, 0.4),
            "hidden_layer_size": np.random.choice([128, 256, 512], 1),
            "weight_decay": 10 ** random.uniform(-5, -1),
        }


@Train(
    settings={"parallelism": 4, "hyper_parameters": get_hyperparameters(), "tensorboard": True},
    package={"repository": "ada", "name": "digits", "publish": True},
)
def train_model(learning_rate, hidden_layer_size, weight_decay):
    network = MLPClassifier((hidden_layer_size,), learning_rate_init=learning_rate, alpha=weight_decay)
    board = Writer(str(output()))
    for epoch in range(1, EPOCHS + 1):
        network.partial_fit(train_x, train_y, classes=range(10))
        loss = log_loss(test_y, network.predict_proba(test_x))
        accuracy = network.score(test_x, test_y)
        report(step=epoch, loss=loss, accuracy=accuracy)
        board.add_scalar("loss", loss, epoch)
        board.add_scalar("accuracy", accuracy, epoch)
    board.close()
    joblib.dump(network, output() / "network.joblib")
    return {"loss": loss, "accuracy": accuracy}


if __name__ == "__main__":
    run = train_model()
    best = run.best("accuracy")
    print(
        f"trial {best.index} of {run.name} reads {best.metrics['accuracy']:.1%} of the held-out digits: {best.output}"
    )

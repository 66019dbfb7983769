"""Flask without any metric of its own."""

import time

from flask import Flask

app = Flask(__name__)


@app.route("/")
def index() -> str:
    time.sleep(0.12)
    return "well"


@app.route("/fail")
def fail() -> str:
    raise RuntimeError("as asked")

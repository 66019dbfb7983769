"""Flask with prometheus-flask-exporter."""

import time

from flask import Flask
from prometheus_flask_exporter import PrometheusMetrics

app = Flask(__name__)
metrics = PrometheusMetrics(app)


@app.route("/")
def index() -> str:
    time.sleep(0.12)
    return "well"


@app.route("/fail")
def fail() -> str:
    raise RuntimeError("as asked")

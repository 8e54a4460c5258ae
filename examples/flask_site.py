"""A Flask site that sends tasks. ``gunicorn --threads 8 flask_site`` serves it.

``gunicorn -k gevent flask_site`` serves it with greenlets, ``celery -A flask_site worker`` runs the tasks.
"""

from __future__ import annotations

# [docs: flask]
import os

from celery import Celery
from flask import Flask

application = Flask(__name__)
app = Celery("flask_site", broker=os.environ.get("BROKER_URL", "sns-sqs://"))


@app.task(ignore_result=True)
def ship(order: int) -> None:
    print(f"order {order} is on its way")


@application.route("/orders/<int:order>")
def orders(order: int) -> dict[str, str]:
    return {"task": ship.delay(order).id}


# [end]

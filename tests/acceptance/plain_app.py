"""An app as small as one can be: Celery's one queue, and what every worker has besides."""

from __future__ import annotations

import os

from celery import Celery

from celery_integration import install

app = Celery("plain", broker=os.environ["BROKER_URL"])
app.conf.broker_connection_retry_on_startup = True
install(app)

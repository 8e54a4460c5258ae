"""A Django site that sends tasks. ``gunicorn --threads 8 django_site`` serves it.

``gunicorn -k gevent django_site`` serves it with greenlets, ``celery -A django_site worker`` runs the tasks.
"""

from __future__ import annotations

# [docs: django]
import os

from celery import Celery
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for a first try"),
    CELERY_BROKER_URL=os.environ.get("BROKER_URL", "sns-sqs://"),
)
app = Celery("django_site")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task(ignore_result=True)
def ship(order: int) -> None:
    print(f"order {order} is on its way")


def orders(_request: HttpRequest, order: int) -> JsonResponse:
    return JsonResponse({"task": ship.delay(order).id})


urlpatterns = [path("orders/<int:order>", orders)]
application = get_wsgi_application()
# [end]

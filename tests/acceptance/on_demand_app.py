"""The app of the tests with gates, with what Celery gives only to brokers it names."""

from __future__ import annotations

from gated_app import app, early

from celery_integration import install

__all__ = ("app", "early")

install(app)

"""What runs in processes of its own: the Celery app of workers and producers, and plain kombu's two sides."""

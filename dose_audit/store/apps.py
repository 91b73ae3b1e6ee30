"""Django's view of this room: one app with the label ``store``."""

from django.apps import AppConfig


class StoreConfig(AppConfig):
    """The store's tables."""

    name = "dose_audit.store"
    label = "store"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Dose store"

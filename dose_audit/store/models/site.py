"""Site: one hospital or centre of the network."""

from django.db import models

from dose_audit.store.models.fields import CleanTextField

UNASSIGNED = "Unassigned"
"""Where a device stands until somebody says where it is. No device is ever dropped for being unknown."""


class Site(models.Model):
    """A place where equipment stands."""

    name = CleanTextField(unique=True)

    def __str__(self) -> str:
        return self.name

"""Site: one hospital or centre of the network."""

from django.db import models

UNASSIGNED = "Unassigned"
"""Where a device stands until somebody says where it is. No device is ever dropped for being unknown."""


class Site(models.Model):
    """A place where equipment stands."""

    name = models.TextField(unique=True)

    def __str__(self) -> str:
        return self.name

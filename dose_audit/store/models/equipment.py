"""Equipment: the devices seen or registered, where each stood when, and which software it ran."""

from django.db import models

from dose_audit.store.models.fields import CleanTextField
from dose_audit.store.models.site import Site


class Equipment(models.Model):
    """One device. Its identities are in `EquipmentIdentity`; its place over time in `EquipmentSite`."""

    display_name = CleanTextField()
    manufacturer = CleanTextField(null=True)
    model_name = CleanTextField(null=True)
    station_name = CleanTextField(null=True)
    serial_number = CleanTextField(null=True)
    device_observer_uid = CleanTextField(null=True)
    institution_name = CleanTextField(null=True)
    department = CleanTextField(null=True)
    modality_override = CleanTextField(null=True)
    registered = models.BooleanField(default=False)
    first_seen = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=["station_name"]), models.Index(fields=["serial_number"]))

    def __str__(self) -> str:
        return self.display_name


class EquipmentIdentity(models.Model):
    """One of the ways in which a device names itself: ``uid:…`` (device observer) or ``header:…`` (four texts)."""

    key = CleanTextField(unique=True)
    equipment = models.ForeignKey(Equipment, models.CASCADE, related_name="identities")


class EquipmentSite(models.Model):
    """Where a device stands from a day on; a mobile unit has several rows. Only what a person registered."""

    equipment = models.ForeignKey(Equipment, models.CASCADE, related_name="sites")
    site = models.ForeignKey(Site, models.PROTECT)
    since = models.DateField(null=True)  # null: since ever

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["equipment", "since"], name="one_site_per_day", nulls_distinct=False),
        )


class EquipmentSoftware(models.Model):
    """One software version of a device, from the first study that carried it."""

    equipment = models.ForeignKey(Equipment, models.CASCADE, related_name="software")
    software_versions = CleanTextField()
    first_study_date = models.DateField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["equipment", "software_versions"], name="one_row_per_version"),)

"""A baseline on the same runs, measured anew, holds from the same moment as the one that it replaces."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0006_delivered_to"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="baseline", name="one_baseline"),
        migrations.AddConstraint(
            model_name="baseline",
            constraint=models.UniqueConstraint(
                fields=("equipment", "definition", "condition_key", "measurement", "valid_from", "set_at"),
                name="one_baseline",
            ),
        ),
    ]

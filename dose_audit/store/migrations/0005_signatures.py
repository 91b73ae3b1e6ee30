"""Who vouched for which frozen run."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0004_dose_estimates"),
    ]

    operations = [
        migrations.CreateModel(
            name="Signature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("by_role", models.TextField()),
                ("statement", models.TextField()),
                ("at", models.DateTimeField()),
                ("seal_sha256", models.TextField()),
                ("engine", models.TextField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signatures",
                        to="store.auditrun",
                    ),
                ),
            ],
        ),
    ]

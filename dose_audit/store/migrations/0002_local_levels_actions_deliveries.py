"""Local reference levels, what people did about findings, and mail deliveries."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("run_id", models.TextField(db_index=True)),
                ("role", models.TextField()),
                ("recipients", models.IntegerField()),
                ("findings", models.IntegerField()),
                ("state", models.TextField()),
                ("reason", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                ("text_sha256", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="Action",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField()),
                ("by_role", models.TextField()),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="actions", to="store.finding"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LocalEdition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("set_id", models.TextField()),
                ("edition", models.TextField()),
                ("kind", models.TextField()),
                ("state", models.TextField(default="proposed")),
                ("site", models.TextField(blank=True)),
                ("rows", models.JSONField()),
                ("computed_from", models.JSONField(default=dict)),
                ("proposed_by", models.TextField()),
                ("proposed_at", models.DateTimeField()),
                ("approved_by", models.TextField(null=True)),
                ("approved_at", models.DateTimeField(null=True)),
                ("valid_from", models.DateField(null=True)),
                ("rows_sha256", models.TextField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("set_id", "edition"), name="one_local_edition")],
            },
        ),
    ]

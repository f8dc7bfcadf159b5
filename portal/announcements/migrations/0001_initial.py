import portal.lib.clock
import portal.lib.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Announcement',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('text', models.CharField(max_length=500)),
                ('level', models.CharField(choices=[('info', 'Information'), ('warning', 'Warning')], default='info', max_length=10)),
                ('maintenance', models.BooleanField(default=False)),
                ('public', models.BooleanField(default=False)),
                ('starts_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('ends_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('dismissed_by', models.ManyToManyField(related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('ends_at', None), ('ends_at__gt', models.F('starts_at')), _connector='OR'), name='announcement_ends_after_start'), models.CheckConstraint(condition=models.Q(('maintenance', False), ('ends_at__isnull', False), _connector='OR'), name='announcement_maintenance_ends')],
            },
        ),
    ]

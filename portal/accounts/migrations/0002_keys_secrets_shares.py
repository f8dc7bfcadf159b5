import django.db.models.deletion
import portal.lib.clock
import portal.lib.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('page', models.CharField(max_length=40)),
                ('name', models.CharField(max_length=40)),
                ('query', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_views', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.UniqueConstraint(fields=('user', 'page', 'name'), name='saved_view_name_once')],
            },
        ),
        migrations.CreateModel(
            name='PublicKey',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('kind', models.CharField(max_length=60)),
                ('fingerprint', models.CharField(max_length=100, unique=True)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='public_keys', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='Secret',
            fields=[
                ('key_id', models.CharField(max_length=40)),
                ('sealed', models.BinaryField()),
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('value', 'Value'), ('ssh-key', 'SSH key')], max_length=10)),
                ('variable', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('changed_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('changed_by', models.CharField(max_length=150)),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='secrets', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='secrets', to='accounts.team')),
            ],
            options={
                'ordering': ['name', 'pk'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('owner', None), ('team__isnull', False)), models.Q(('owner__isnull', False), ('team', None)), _connector='OR'), name='secret_of_person_or_team'), models.CheckConstraint(condition=models.Q(('kind', 'ssh-key'), ('variable', True), _negated=True), name='secret_key_is_no_variable'), models.UniqueConstraint(fields=('owner', 'name'), name='secret_once_per_owner'), models.UniqueConstraint(fields=('team', 'name'), name='secret_once_per_team')],
            },
        ),
        migrations.AddField(
            model_name='team',
            name='held_back',
            field=models.CharField(blank=True, default='', max_length=200),
        ),
        migrations.AddField(
            model_name='team',
            name='share',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AddConstraint(
            model_name='team',
            constraint=models.CheckConstraint(condition=models.Q(('share__gt', 0)), name='team_has_a_share'),
        ),
    ]

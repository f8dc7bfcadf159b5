import django.db.models.deletion
import portal.lib.clock
import portal.lib.ids
from django.conf import settings
from django.db import migrations, models


def keep_the_order(apps, schema_editor):
    """What waits already stands in line as it did."""
    apps.get_model('compute', 'Allocation').objects.filter(phase='pending').update(line_at=models.F('created_at'))


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_keys_secrets_shares'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('compute', '0001_initial'),
        ('quotas', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Activity',
            fields=[
                ('allocation', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='activity', serialize=False, to='compute.allocation')),
                ('known_since', models.DateTimeField(null=True)),
                ('asked_at', models.DateTimeField(null=True)),
                ('trouble', models.CharField(blank=True, default='', max_length=200)),
                ('kernel_at', models.DateTimeField(null=True)),
                ('terminal_at', models.DateTimeField(null=True)),
                ('terminal_command', models.CharField(blank=True, default='', max_length=60)),
                ('used_at', models.DateTimeField(null=True)),
                ('cpu_at', models.DateTimeField(null=True)),
                ('gpu_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='GpuDevice',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('uuid', models.CharField(max_length=80)),
                ('number', models.PositiveSmallIntegerField()),
                ('product', models.CharField(max_length=100)),
                ('memory', models.BigIntegerField()),
                ('simulated', models.BooleanField(default=False)),
                ('missing_since', models.DateTimeField(null=True)),
                ('utilisation', models.FloatField(null=True)),
                ('busy_at', models.DateTimeField(null=True)),
                ('gpu_class', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='devices', to='quotas.gpuclass')),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='devices', to='compute.node')),
            ],
            options={
                'ordering': ['node', 'gpu_class', 'number'],
                'constraints': [models.UniqueConstraint(fields=('node', 'uuid'), name='gpu_once_on_a_node')],
            },
        ),
        migrations.CreateModel(
            name='GpuHold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField(default=portal.lib.clock.now)),
                ('until', models.DateTimeField(null=True)),
                ('allocation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='compute.allocation')),
                ('device', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='compute.gpudevice')),
            ],
            options={
                'ordering': ['since', 'id'],
                'indexes': [models.Index(condition=models.Q(('until', None)), fields=['allocation'], name='gpu_hold_open')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('until', None)), fields=('device',), name='gpu_is_held_once'), models.CheckConstraint(condition=models.Q(('until', None), ('until__gte', models.F('since')), _connector='OR'), name='gpu_hold_ends_after_start')],
            },
        ),
        migrations.CreateModel(
            name='PastUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', models.FloatField()),
                ('at', models.DateTimeField()),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.team')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('team', 'user'), name='past_use_once'), models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='past_use_not_negative')],
            },
        ),
        migrations.AddField(
            model_name='allocation',
            name='desired_at',
            field=models.DateTimeField(default=portal.lib.clock.now),
        ),
        migrations.AddField(
            model_name='allocation',
            name='end_message',
            field=models.CharField(blank=True, default='', max_length=300),
        ),
        migrations.AddField(
            model_name='allocation',
            name='frozen_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='allocation',
            name='gpu_class',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='quotas.gpuclass'),
        ),
        migrations.AddField(
            model_name='allocation',
            name='gpu_count',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='allocation',
            name='line_at',
            field=models.DateTimeField(default=portal.lib.clock.now),
        ),
        migrations.AddField(
            model_name='allocation',
            name='log_removed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='logchunk',
            name='text_size',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='node',
            name='cordoned_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='node',
            name='cordoned_because',
            field=models.CharField(blank=True, default='', max_length=200),
        ),
        migrations.AddField(
            model_name='node',
            name='drain_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='node',
            name='freezes',
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name='sample',
            name='gpu',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='size',
            name='gpu_class',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='quotas.gpuclass'),
        ),
        migrations.AddField(
            model_name='size',
            name='gpu_count',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='allocation',
            name='desired',
            field=models.CharField(choices=[('run', 'Run'), ('suspend', 'Stay in place, frozen'), ('end', 'End')], default='run', max_length=7),
        ),
        migrations.AlterField(
            model_name='allocation',
            name='end_reason',
            field=models.CharField(blank=True, choices=[('', ''), ('completed', 'It finished'), ('failed', 'It ended with an error'), ('oom', 'It ran out of memory'), ('image_error', 'Its image could not be fetched'), ('secret_error', 'A secret could not be read'), ('start_timeout', 'It did not answer in time'), ('stopped', 'Stopped'), ('lost', 'Its container disappeared'), ('engine_restart', 'The container engine was restarted'), ('engine_error', 'The container engine refused it'), ('cancelled', 'Cancelled before it ran'), ('idle', 'Stopped because nothing ran in it'), ('max_duration', 'It took longer than it was given'), ('drained', 'Its node was emptied'), ('preempted', 'What it held was borrowed, and the team it belongs to needed it')], default='', max_length=20),
        ),
        migrations.AlterField(
            model_name='allocation',
            name='log_state',
            field=models.CharField(choices=[('open', 'More may come'), ('complete', 'All of it is here'), ('truncated', 'Its end is missing'), ('lost', 'It is lost'), ('over_quota', 'It grew too long: lines after the last one are not kept'), ('removed', 'It was removed when its time was over')], default='open', max_length=10),
        ),
        migrations.AlterField(
            model_name='allocation',
            name='reason',
            field=models.CharField(blank=True, choices=[('', ''), ('completed', 'It finished'), ('failed', 'It ended with an error'), ('oom', 'It ran out of memory'), ('image_error', 'Its image could not be fetched'), ('secret_error', 'A secret could not be read'), ('start_timeout', 'It did not answer in time'), ('stopped', 'Stopped'), ('lost', 'Its container disappeared'), ('engine_restart', 'The container engine was restarted'), ('engine_error', 'The container engine refused it'), ('cancelled', 'Cancelled before it ran'), ('idle', 'Stopped because nothing ran in it'), ('max_duration', 'It took longer than it was given'), ('drained', 'Its node was emptied'), ('preempted', 'What it held was borrowed, and the team it belongs to needed it')], default='', max_length=20),
        ),
        migrations.AlterField(
            model_name='transition',
            name='reason',
            field=models.CharField(blank=True, choices=[('', ''), ('completed', 'It finished'), ('failed', 'It ended with an error'), ('oom', 'It ran out of memory'), ('image_error', 'Its image could not be fetched'), ('secret_error', 'A secret could not be read'), ('start_timeout', 'It did not answer in time'), ('stopped', 'Stopped'), ('lost', 'Its container disappeared'), ('engine_restart', 'The container engine was restarted'), ('engine_error', 'The container engine refused it'), ('cancelled', 'Cancelled before it ran'), ('idle', 'Stopped because nothing ran in it'), ('max_duration', 'It took longer than it was given'), ('drained', 'Its node was emptied'), ('preempted', 'What it held was borrowed, and the team it belongs to needed it')], default='', max_length=20),
        ),
        migrations.AddIndex(
            model_name='allocation',
            index=models.Index(condition=models.Q(('desired', 'run'), ('phase', 'pending')), fields=['line_at', 'id'], name='allocation_in_line'),
        ),
        migrations.AddIndex(
            model_name='allocation',
            index=models.Index(condition=models.Q(('log_removed_at', None), ('started_at__isnull', False)), fields=['ended_at'], name='allocation_log_is_kept'),
        ),
        migrations.AddIndex(
            model_name='logchunk',
            index=models.Index(fields=['allocation', 'last_seq'], name='log_chunk_by_number'),
        ),
        migrations.AddIndex(
            model_name='logchunk',
            index=models.Index(fields=['allocation', 'last_at'], name='log_chunk_by_time'),
        ),
        migrations.AddConstraint(
            model_name='allocation',
            constraint=models.CheckConstraint(condition=models.Q(('frozen_at', None), ('phase__in', ['admitted', 'creating', 'pulling', 'running', 'starting', 'stopping']), _connector='OR'), name='allocation_frozen_is_there'),
        ),
        migrations.AddConstraint(
            model_name='allocation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('gpu_class', None), ('gpu_count', 0)), models.Q(('gpu_class__isnull', False), ('gpu_count__gt', 0)), _connector='OR'), name='allocation_gpus_have_a_class'),
        ),
        migrations.AddConstraint(
            model_name='node',
            constraint=models.CheckConstraint(condition=models.Q(('drain_at', None), ('cordoned_at__isnull', False), _connector='OR'), name='node_drained_is_cordoned'),
        ),
        migrations.AddConstraint(
            model_name='size',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('gpu_class', None), ('gpu_count', 0)), models.Q(('gpu_class__isnull', False), ('gpu_count__gt', 0)), _connector='OR'), name='size_gpus_have_a_class'),
        ),
        migrations.RunPython(keep_the_order, migrations.RunPython.noop),
    ]

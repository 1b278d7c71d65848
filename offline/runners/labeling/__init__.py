"""Labeling jobs: people answer what the task type asks, and what Ground Truth writes is written where it writes it.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from offline.runners.labeling.job import work as work
from offline.runners.labeling.output import COUNTERS as COUNTERS

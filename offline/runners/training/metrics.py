"""A training job's metrics, as its own regular expressions find them in the log.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

import re
import threading
from typing import Any

from offline.runners import Job, now


class Metrics:
    """The last value of each metric. The lines of several hosts may come at once."""

    def __init__(self, job: Job, definitions: list[dict[str, str]]) -> None:
        self._job = job
        self._patterns = [(one["Name"], re.compile(one["Regex"])) for one in definitions]
        self._last: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def take(self, line: str) -> None:
        with self._lock:
            for name, pattern in self._patterns:
                for match in pattern.finditer(line):
                    try:
                        value = float(match.group(1))
                    except (ValueError, IndexError):
                        continue
                    self._last[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
            if self._last:
                self._job.report({"FinalMetricDataList": list(self._last.values())})

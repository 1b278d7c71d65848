"""Collects the numbers of a run from the account and from the devices' own logs; nothing here is written in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from console.clients import Clients
from console.demo.bucket import Bucket
from console.demo.fleet import Fleet
from console.demo.measure import accuracy, add_up, count_labels, frames_per_second, watched
from console.demo.pictures import Collection
from console.devices import DeviceReader
from console.executions import Execution
from console.project import Project
from reefloop import contracts as c
from reefloop import payloads


@dataclass(frozen=True)
class Collector:
    """Everything that the numbers come from."""

    clients: Clients
    project: Project
    fleet: Fleet
    collection: Collection

    @property
    def _data(self) -> Bucket:
        return Bucket(self.clients, self.project.data_bucket)

    def collect(self, rounds: Mapping[str, Execution]) -> dict[str, Any]:
        """The summary, without the seconds of the steps: they are not over yet."""
        return {
            "resources": self.resources(),
            "executions": self.executions(),
            "rounds": [self.round(name, execution) for name, execution in rounds.items()],
            "human_level": self.human_level(rounds),
            "targets": self.targets(rounds),
            "component_versions": self.component_versions(),
            "devices": self.devices(),
            **self.work_of_devices(),
        }

    def resources(self) -> dict[str, int]:
        """How many resources of each type the stacks have."""
        counts: Counter[str] = Counter()
        for stack in self.project.outputs:
            for kind, names in self.project.resources(self.clients, stack).items():
                counts[kind] += len(names)
        return dict(sorted(counts.items()))

    def executions(self) -> list[dict[str, Any]]:
        """Every execution of every machine, oldest first."""
        sfn = self.clients("stepfunctions")
        found = []
        for machine, arn in self.project.machines.items():
            for page in sfn.get_paginator("list_executions").paginate(stateMachineArn=arn):
                found += [(execution["startDate"], machine, execution) for execution in page["executions"]]
        return [
            {"machine": machine, "name": execution["name"], "status": execution["status"]}
            for _, machine, execution in sorted(found, key=lambda item: item[0])
        ]

    def round(self, name: str, execution: Execution) -> dict[str, Any]:
        """What a round labeled, how well, and what was trained on it; None where the round did not come so far."""
        labels = count_labels(
            self._data.read_lines(c.round_key(name, "consolidated.manifest")), self.collection.truth_by_name
        )
        version = execution.output.get(c.TRAINING, {}).get(c.MODEL_VERSION, "")
        model = self._data.read_json(c.model_key(version, "model.json")) if version else {}
        evaluation = self._data.read_json(c.model_key(version, "evaluation.json")) if version else {}
        return {
            "round": name,
            "objects": execution.output.get(c.LABELING, {}).get(c.OBJECTS, 0),
            "machine_labels": labels.machine,
            "human_labels": labels.human,
            "label_error": _rounded(labels.error),
            "training_epochs": model.get("epochs"),
            "validation": _accuracy(evaluation.get("validation")),
            "test": _accuracy(evaluation.get("test")),
            "advice": evaluation.get("advice", []),
            "stage_seconds": {
                child.stage: round((child.stopped - child.started).total_seconds(), 1)
                for child in execution.children
                if child.stopped
            },
        }

    def human_level(self, rounds: Mapping[str, Execution]) -> Mapping[str, Any]:
        """What the last round knows of the people; it knows their answers to gold in the rounds before."""
        return self._data.read_json(c.round_key(list(rounds)[-1], "human-level.json")) if rounds else {}

    def targets(self, rounds: Mapping[str, Execution]) -> list[dict[str, Any]]:
        """What each target got from the last model that was compiled; `parity` is None where nothing was measured."""
        compiled = [e.output[c.COMPILATION][c.PACKAGES] for e in rounds.values() if c.COMPILATION in e.output]
        return [_target(package) for package in compiled[-1]] if compiled else []

    def component_versions(self) -> list[dict[str, str]]:
        """Every version of every component of the account's own."""
        greengrass = self.clients("greengrassv2")
        pages = greengrass.get_paginator("list_components").paginate(scope="PRIVATE")
        arns = [component["arn"] for page in pages for component in page["components"]]
        versions = [
            version
            for arn in arns
            for page in greengrass.get_paginator("list_component_versions").paginate(arn=arn)
            for version in page["componentVersions"]
        ]
        found = {(version["componentName"], version["componentVersion"]) for version in versions}
        return [{"component": name, "version": version} for name, version in sorted(found)]

    def devices(self) -> list[dict[str, str]]:
        """Every core device, with Greengrass's word and its own."""
        return [
            {
                "thing": device.thing,
                "status": device.health,
                "model_version": device.model_version,
                "self_test": device.self_test,
            }
            for device in DeviceReader(self.clients, self.project).read()
        ]

    def work_of_devices(self) -> dict[str, Any]:
        """What devices saw, how fast, how right, and what it cost to send."""
        things: Sequence[str] = list(self.fleet.cameras)
        reader = DeviceReader(self.clients, self.project)
        records = {kind: {thing: reader.records(thing, kind, days=1) for thing in things} for kind in c.RECORDS}
        bodies = {
            kind: {thing: [one.body for one in found] for thing, found in of.items()} for kind, of in records.items()
        }
        starts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for thing, found in records["health"].items():
            for record in found:
                starts.setdefault((thing, record.boot), []).append(record.body)
        work = add_up(chain.from_iterable(bodies["summary"].values()), starts.values())
        frames = [size for thing in things for size in self._data.sizes(f"{c.IMAGES}edge/{thing}/")]
        return {
            "frames": work.frames,
            "frames_per_second": _rounded(frames_per_second([self.fleet.results(thing) for thing in things])),
            "latency_ms": {"p50": _rounded(work.p50_ms), "p99": _rounded(work.p99_ms)},
            "alerts": [asdict(one) for one in watched(bodies["alert"])],
            "frames_sent": len(frames),
            "bytes_sent": sum(frames) + sum(self.fleet.message_bytes[thing] for thing in things),
            "bytes_send_everything": self.fleet.bytes_fed(),
            "edge_accuracy": _rounded(accuracy(self.fleet.all_results(), self.collection.truth_by_name)),
        }

    def accuracy_by_model(self) -> dict[str, float | None]:
        """Edge accuracy under each model, in the order in which they served."""
        results = self.fleet.all_results()
        versions = dict.fromkeys(line["model_version"] for line in sorted(results, key=lambda line: line["at"]))
        return {
            version: accuracy(
                [line for line in results if line["model_version"] == version], self.collection.truth_by_name
            )
            for version in versions
        }


def _target(package: payloads.Package) -> dict[str, Any]:
    return {
        "target": package["target"],
        "outcome": package["outcome"],
        "artifact_key": package["key"],
        "bytes": package["bytes"],
        "failure": package["failure"],
        "parity": package["parity"],
    }


def _accuracy(rate: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The share that a model got right, with its 95 % interval, from the share that it got wrong."""
    if rate is None:
        return None
    right = {"accuracy": 1 - rate["error"], "low": 1 - rate["high"], "high": 1 - rate["low"]}
    return {name: _rounded(value) for name, value in right.items()} | {"objects": rate["objects"]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

"""What a core device remembers across restarts, in one file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from offline.device.resolution import Root, Wanted


@dataclass
class Memory:
    """`handled` is the deployment last dealt with for each target, successful or not; `groups` what each target's last
    successful one asks for; `running` what the device runs; `configurations` those of every component it ever ran."""

    handled: dict[str, str] = field(default_factory=dict)
    groups: dict[str, dict[str, Root]] = field(default_factory=dict)
    running: list[Wanted] = field(default_factory=list)
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Memory":
        """The memory in a file, or an empty one."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text())
        return cls(
            handled=stored["handled"],
            groups={
                target: {name: Root(**root) for name, root in roots.items()}
                for target, roots in stored["groups"].items()
            },
            running=[
                Wanted(**{**wanted, "dependencies": tuple(wanted["dependencies"])}) for wanted in stored["running"]
            ],
            configurations=stored["configurations"],
        )

    def save(self, path: Path) -> None:
        """Write the file in one step."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self), indent=1))
        draft.replace(path)

"""Buildspecs as far as builds here honour them; anything else is refused, since it would be lost in silence.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from offline.runners import JobFailed

PHASES: Final = ("install", "pre_build", "build", "post_build")


@dataclass(frozen=True)
class Buildspec:
    """The commands of each phase, variables, and the variables whose last value the build tells."""

    phases: Mapping[str, Sequence[str]]
    variables: Mapping[str, str]
    exported: Sequence[str]

    @classmethod
    def parse(cls, text: str) -> "Buildspec":
        """
        Raises:
            JobFailed: not JSON, or with something that is not honoured here.
        """
        try:
            spec = json.loads(text)
        except ValueError:
            raise JobFailed("YAML_FILE_ERROR: builds here read a project's buildspec written as JSON") from None
        _check("the buildspec", spec, {"version", "env", "phases"})
        env, phases = spec.get("env", {}), spec.get("phases", {})
        _check("env", env, {"shell", "variables", "exported-variables"})
        _check("phases", phases, set(PHASES))
        if env.get("shell", "bash") != "bash" or spec.get("version") != "0.2":
            raise JobFailed("YAML_FILE_ERROR: builds here take version 0.2 and the shell bash")
        for name, phase in phases.items():
            # The laptop's Python stands in for any runtime.
            _check(name, phase, {"commands"} | ({"runtime-versions"} if name == "install" else set()))
        return cls(
            phases={name: phases.get(name, {}).get("commands", []) for name in PHASES},
            variables=env.get("variables", {}),
            exported=env.get("exported-variables", []),
        )


def _check(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(given.keys() - known):
        raise JobFailed(f"YAML_FILE_ERROR: {what} has {unknown}, which builds here do not honour")

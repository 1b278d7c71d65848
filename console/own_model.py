"""A model from elsewhere and the targets that it is for: what can be known to fail, before anything is uploaded."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from console.errors import Refusal
from reefloop.compilation import contents, rules
from reefloop.compilation.contents import SourceInvalid
from reefloop.compilation.neo import FRAMEWORKS
from reefloop.compilation.targets import Target
from reefloop.payloads import OwnModel

_DIGITS: Final = 12


@dataclass(frozen=True)
class Wish:
    """What somebody asks for: CreateCompilationJob's Framework, FrameworkVersion ("" for Neo's own) and
    DataInputConfig, and the targets."""

    framework: str
    framework_version: str
    data_input_config: str
    targets: tuple[Target, ...]

    def model_version(self, content: str) -> str:
        """The version of a tarball of this content: the same model read the same way has the same."""
        parts = [content, self.framework, self.framework_version, self.data_input_config]
        return f"own-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGITS]}"

    def model(self, uri: str) -> OwnModel:
        return OwnModel(
            uri=uri,
            framework=self.framework,
            framework_version=self.framework_version,
            data_input_config=self.data_input_config,
        )


def framework(name: str) -> str:
    """A framework as the API writes it.

    Raises:
        Refusal: Neo has no such framework.
    """
    if (upper := name.upper()) not in FRAMEWORKS:
        raise Refusal(f"framework {name!r} is not one of {', '.join(FRAMEWORKS)}{_perhaps(upper, FRAMEWORKS)}")
    return upper


def targets(names: str, known: Mapping[str, Target]) -> tuple[Target, ...]:
    """The targets that a comma-separated list names, each once.

    Raises:
        Refusal: it names none, or one that is not in the table.
    """
    chosen = list(dict.fromkeys(name for name in (part.strip() for part in names.split(",")) if name))
    if not chosen:
        raise Refusal(f"--targets names none: a comma-separated list of {', '.join(known)}")
    for name in chosen:
        if name not in known:
            raise Refusal(f"target {name!r} is not one of {', '.join(known)}{_perhaps(name, known)}")
    return tuple(known[name] for name in chosen)


def check(wish: Wish, *, names: Sequence[str] | None = None) -> None:
    """
    Args:
        names: the files of the tarball, where they are known.

    Raises:
        Refusal: some target cannot work, with every reason and what is left.
    """
    verdicts = [_verdict(wish, target) for target in wish.targets]
    alike: dict[str, list[str]] = {}
    for target, verdict in zip(wish.targets, verdicts, strict=True):
        alike.setdefault(verdict or _mistake(wish, target, names), []).append(target.name)
    left = alike.pop("", [])
    if not alike:
        return
    told = "; ".join(f"{', '.join(same)}: {problem}" for problem, same in alike.items())
    todo = ""
    if left:
        todo = f"; nothing is known against --targets {','.join(left)}"
    elif all(verdicts) and not FRAMEWORKS[wish.framework].refusal:
        todo = f"; `python -m console devices --framework {wish.framework}` lists what can be compiled"
    raise Refusal(f"nothing was uploaded: {told}{todo}")


def _verdict(wish: Wish, target: Target) -> str:
    """Why Neo compiles no such model for a target, "" when it does."""
    verdict = rules.verdict(wish.framework, target, version=wish.framework_version)
    return "" if verdict.supported else f"{verdict.reason} ({verdict.source})"


def _mistake(wish: Wish, target: Target, names: Sequence[str] | None) -> str:
    """What Neo would not take of what it is sent, "" when nothing is known against it."""
    try:
        rules.check_options(target)
        rules.check_input(wish.framework, target, wish.data_input_config)
        if names is not None:
            contents.check(names, rules.contents(wish.framework, target), "the tarball")
    except (rules.TargetInvalid, SourceInvalid) as error:
        return str(error)
    return ""


def _perhaps(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]}?" if close else ""

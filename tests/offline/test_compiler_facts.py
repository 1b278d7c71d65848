"""The offline compiler knows Neo from tables of its own; what the product's rules let through, it must take."""

from collections.abc import Iterator

from offline.compiler import facts
from reefloop.compilation import neo, rules
from reefloop.compilation.targets import Target


def everything() -> Iterator[tuple[Target, facts.Machine | None]]:
    """Everything that can be compiled for: in the product's words, and as the compiler knows it."""
    for device in neo.DEVICES:
        yield Target("any", device=device), facts.DEVICES[device]
    for os, arch, accelerator in neo.PLATFORMS:
        platform = {"Os": os, "Arch": arch, **({"Accelerator": accelerator} if accelerator else {})}
        yield Target("any", platform=platform), facts.PLATFORMS.get((os, arch, accelerator))


def test_what_the_rules_let_through_the_compiler_takes() -> None:
    for target, machine in everything():
        supported = {framework for framework in neo.FRAMEWORKS if rules.verdict(framework, target).supported}
        assert supported <= (machine.frameworks if machine else set()), target


def test_what_the_rules_refuse_for_its_framework_the_compiler_refuses_too() -> None:
    for target, machine in everything():
        if machine and not target.hardware.refusal:
            refused = {framework for framework in neo.FRAMEWORKS if not rules.verdict(framework, target).supported}
            assert not refused & machine.frameworks, target


def test_both_send_and_take_a_version_for_the_same_hardware() -> None:
    for target, machine in everything():
        if machine and not target.hardware.refusal:
            assert target.hardware.takes_version == machine.versioned, target


def test_both_want_the_same_layout_of_the_input() -> None:
    assert {name: framework.layout for name, framework in facts.FRAMEWORKS.items()} == {
        name: framework.layout for name, framework in neo.FRAMEWORKS.items()
    }

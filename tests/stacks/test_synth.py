"""The app synthesizes the same bytes everywhere, without an account, and every finding stops it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App
from aws_cdk import aws_iam as iam

import app as reefloop
from settings import Settings
from tests.stacks.conftest import Templates


def synth(out: Path, *, cwd: Path, home: Path) -> dict[str, bytes]:
    """Every file that `python app.py` writes, run with no credentials, no AWS configuration and an empty home."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": _context(),
        "CDK_VALIDATION": "false",
    }
    subprocess.run([sys.executable, str(reefloop.ROOT / "app.py")], cwd=cwd, env=environment, check=True)
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "tree.json"
    }


def _context() -> str:
    import json

    context = json.loads((reefloop.ROOT / "cdk.json").read_text())["context"]
    return json.dumps(context)


def test_synth_writes_the_same_bytes_twice_and_from_another_folder(tmp_path: Path) -> None:
    first = synth(tmp_path / "first", cwd=reefloop.ROOT, home=tmp_path)
    second = synth(tmp_path / "second", cwd=tmp_path, home=tmp_path)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert any(name.endswith("loop.template.json") for name in first)


def test_no_template_has_a_custom_resource(configuration: Templates) -> None:
    types = {resource["Type"] for template in configuration.values() for resource in template["Resources"].values()}
    assert not [type_ for type_ in types if type_.startswith("Custom::") or "CustomResource" in type_]


def test_no_template_looks_anything_up_or_needs_docker(configuration: Templates) -> None:
    runtimes = {
        resource["Properties"].get("PackageType", "Zip")
        for template in configuration.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert runtimes == {"Zip"}


def test_a_wildcard_that_nobody_explained_stops_synth(tmp_path: Path) -> None:
    cdk = App(outdir=str(tmp_path), analytics_reporting=False)
    reefloop.build(cdk, Settings(stage="sandbox"))
    role = cdk.node.find_child("reefloop-training").node.find_child("JobRole")
    assert isinstance(role, iam.Role)
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["arn:aws:s3:::somebody-elses/*"]))
    with pytest.raises(RuntimeError, match="alidation"):
        cdk.synth()


def test_a_deployment_without_models_says_so(tmp_path: Path) -> None:
    cdk = App(outdir=str(tmp_path), analytics_reporting=False)
    reefloop.build(cdk, Settings(stage="sandbox", task="detection"))
    said = [str(message.entry.data) for message in cdk.synth().get_stack_by_name("reefloop-labeling").messages]
    assert any(reefloop.LABELS_ONLY in one for one in said)


def test_a_setting_that_is_not_allowed_ends_with_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "CDK_CONTEXT_JSON": '{"stage": "moon"}', "CDK_OUTDIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, str(reefloop.ROOT / "app.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "stage is 'moon'; allowed are laptop, sandbox, production" in run.stderr
    assert "Traceback" not in run.stderr

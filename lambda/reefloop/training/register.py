"""Register: judge the trained model, lay its files out for the stages after this, and enter it in the registry."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from reefloop import archive, clients, contracts, environment, model_card, registry, storage
from reefloop.model_card import ModelCard, ModelInvalid
from reefloop.payloads import Verdict
from reefloop.training import gate

_NEEDED = ("model.json", "model.onnx")


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    model_package_group: str
    image_uri: str
    minimum_accuracy: float


class Event(TypedDict):
    model_version: str
    model_artifact_uri: str
    dataset_version: str


def handler(event: Event, _context: object) -> Verdict:
    """Write models/<version>/{model.tar.gz,model.json,source/model.tar.gz} and register the model.

    Run again for the same version, it answers as before and registers nothing twice: a model that is registered
    already keeps its approval, also one that a person has changed since.

    Raises:
        ModelInvalid, ArchiveInvalid, ObjectMissing: the training job did not leave what it must.
    """
    env = environment.read(Environment)
    version = event["model_version"]
    card = _lay_out(env.data_bucket, version, source=event["model_artifact_uri"])
    champion = registry.champion(env.model_package_group, besides=version)
    verdict = gate.verdict(card.model, champion=champion, minimum_accuracy=env.minimum_accuracy)
    if registered := registry.find(env.model_package_group, version):
        return Verdict(accepted=registered.approved, reasons=verdict["reasons"])
    model_uri = storage.uri(env.data_bucket, contracts.model_key(version, "model.tar.gz"))
    registry.register(
        env.model_package_group, card.model, approved=verdict["accepted"], image_uri=env.image_uri, model_uri=model_uri
    )
    return verdict


def _lay_out(bucket: str, version: str, *, source: str) -> ModelCard:
    owner, key = storage.split_uri(source)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as file:
        folder = Path(name)
        storage.download(owner, key, file)
        found = archive.extract(file, folder, source=source, wanted=_NEEDED.__contains__)
        if missing := set(_NEEDED).difference(found):
            raise ModelInvalid(f"{source} lacks {sorted(missing)[0]}: look at the training job's log")
        value = storage.parse_json((folder / "model.json").read_bytes(), source=f"{source} model.json")
        card = model_card.parse(value, source=f"{source} model.json", model_version=version)
        # The compiler refuses an archive that holds anything but the model itself.
        with storage.writing(bucket, contracts.model_key(version, "source/model.tar.gz")) as target:
            archive.write_tar(target, name="model.onnx", content=folder / "model.onnx")
    storage.write_json(bucket, contracts.model_key(version, "model.json"), value)
    clients.s3().copy({"Bucket": owner, "Key": key}, bucket, contracts.model_key(version, "model.tar.gz"))
    return card

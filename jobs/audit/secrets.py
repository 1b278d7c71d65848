"""Credentials in an image.

How deep it looks: at the contents of files up to 64 KiB, in every layer; at variables; at the commands that the image's
history records, build arguments among them. It opens no archives or databases, decodes nothing, and leaves out what
Python packages bring (`site-packages`), which is public already and full of keys for tests.
"""

import re
from collections.abc import Iterator
from typing import Final

from jobs.audit.findings import Finding, finding
from jobs.audit.image import Config, Image

_PUBLIC: Final = re.compile(r"(^|/)((site|dist)-packages|python\d+\.\d+/test)/|^usr/share/doc/")

# (what, a part that every match has, pattern). The part keeps the patterns away from nearly all files.
_TOKENS: Final = (
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
    ("AWS access key", b"AKIA", re.compile(rb"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])")),
    ("temporary AWS access key", b"ASIA", re.compile(rb"(?<![A-Z0-9])ASIA[A-Z2-7]{16}(?![A-Z0-9])")),
    ("Hugging Face token", b"hf_", re.compile(rb"(?<!\w)hf_[A-Za-z]{30,}(?!\w)")),
    ("GitHub token", b"gh", re.compile(rb"(?<!\w)(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})(?!\w)")),
    ("PyPI token", b"pypi-AgE", re.compile(rb"pypi-AgE\w{50,}")),
    ("private key", b"PRIVATE KEY", re.compile(rb"\A\s*-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]")),
)
# (what, path, what the file has to say)
_FILES: Final = (
    ("AWS credentials", r"(^|/)\.aws/credentials$", rb"aws_(secret_access_key|session_token)"),
    ("password", r"(^|/)[._]netrc$", rb"password\s+\S"),
    ("password", r"(^|/)\.git-credentials$", rb"://[^\s:]+:[^\s@]+@"),
    ("password", r"(^|/)\.pypirc$", rb"password\s*[:=]\s*\S"),
    ("password", r"(^|/)(pip\.conf|\.pip/pip\.conf|uv\.toml)$", rb"://[^\s:/]+:[^\s@/]+@"),
    ("registry login", r"(^|/)(\.docker/config\.json|\.dockercfg)$", rb'"(auth|identitytoken)"\s*:\s*"[^"]'),
    ("Hugging Face token", r"(^|/)\.?(cache/)?huggingface/(stored_)?tokens?$", rb"\S"),
)
_FILE_RULES: Final = tuple((what, re.compile(path), re.compile(said)) for what, path, said in _FILES)
# Words in the names of variables. HF_TOKEN has one, TOKENIZERS_PARALLELISM and HF_TOKEN_PATH do not.
_WORDS: Final = re.compile(r"(^|_)(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|(ACCESS|API|PRIVATE)_KEY)(_ID)?$")


def of_file(path: str, text: bytes) -> tuple[str, ...]:
    """The kinds of credentials that a small file has."""
    if _PUBLIC.search(path):
        return ()
    found = [what for what, where, said in _FILE_RULES if where.search(path) and said.search(text)]
    return (*found, *_tokens(text))


def _tokens(text: bytes) -> Iterator[str]:
    for what, part, pattern in _TOKENS:
        # AWS's own examples of keys end with EXAMPLE.
        if part in text and any(not match[0].endswith(b"EXAMPLE") for match in pattern.finditer(text)):
            yield what


def check(image: Image) -> Iterator[Finding]:
    """A finding for each kind of credentials."""
    found: dict[str, list[str]] = {}
    for path, entry in image.entries.items():
        for what in entry.secrets:
            found.setdefault(what, []).append(path)
    for path, what in image.buried:
        found.setdefault(what, []).append(f"{path} (a later layer hides it, and a lower one has it still)")
    for what, place in _of_config(image.config) if image.config else ():
        found.setdefault(what, []).append(place)
    for what, places in found.items():
        yield finding("credentials", f"the image carries credentials ({what})", places)


def _of_config(config: Config) -> Iterator[tuple[str, str]]:
    for name, value in config.environment.items():
        kinds = list(_tokens(value.encode()))
        if not kinds and value and _WORDS.search(name.upper()):
            kinds = ["secret by its name"]
        yield from ((kind, f"ENV {name}") for kind in kinds)
    for number, step in enumerate(config.history, 1):
        yield from ((kind, f"step {number} of the image's history") for kind in _tokens(step.encode()))

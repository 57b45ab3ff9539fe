"""The documents name only what is there: files, tests, commands; and nothing of one machine."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.app.configuration import (
    CentreTable,
    CertificateTable,
    DatabaseTable,
    KeystoreTable,
    LineTable,
    OpsTable,
)
from gateway.app.history_table import HistoryTable
from gateway.cli import root

ROOT = Path(__file__).parents[1]
NAMING = ("docs/ARCHITECTURE.md", "docs/REQUIREMENTS.md", "docs/THREATS.md", "docs/OPERATIONS.md")
COMMANDED = ("README.md", "docs/OPERATIONS.md")
TOP_FOLDERS = ("protocol/", "certs/", "hsm/", "gateway/", "bench/", "tests/", "docs/", "deploy/")
OWN_HOSTS = {"127.0.0.1", "localhost"}
MACHINE = re.compile(r"(?<![\w.$])/(?:tmp|root|home|Users)/|\bindex-url\b", re.IGNORECASE)


def documents() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split() if listed.returncode == 0 else []
    return names or sorted(str(p.relative_to(ROOT)) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def quoted(text: str) -> list[str]:
    """Everything in single backquotes, outside fenced blocks."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [" ".join(span.split()) for span in spans]


def facts_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def invocations(text: str) -> list[list[str]]:
    """Every `sekisho ...` of a document: the lines of shell blocks, and commands in backquotes."""
    lines = []
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        lines += [line for line in block.replace("\\\n", " ").splitlines() if line.startswith("sekisho ")]
    lines += [span for span in quoted(text) if span.startswith("sekisho ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.mark.parametrize("name", [*NAMING, *(n for n in documents() if n.startswith("docs/decisions/"))])
def test_every_file_and_test_that_is_named_exists(name: str) -> None:
    missing = []
    for span in quoted(read(name)):
        if not span.startswith(TOP_FOLDERS) or " " in span:
            continue
        path, _, test = span.partition("::")
        if not (ROOT / path).exists() or (test and test not in facts_of(ROOT / path)):
            missing.append(span)
    assert missing == []


def test_the_invariants_and_the_clauses_name_tests() -> None:
    assert len(re.findall(r"`tests/[\w/]+\.py::test_\w+`", read("docs/ARCHITECTURE.md"))) > 20
    assert len(re.findall(r"`tests/[\w/]+\.py::test_\w+`", read("docs/REQUIREMENTS.md"))) > 20


@pytest.mark.parametrize("name", documents())
def test_links_lead_to_files(name: str) -> None:
    here = (ROOT / name).parent
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(name)) if "://" not in t]
    assert [t for t in targets if not (here / t).exists()] == []


@pytest.mark.parametrize("name", COMMANDED)
def test_every_command_that_is_shown_exists_with_its_options(name: str) -> None:
    shown = invocations(read(name))
    assert len(shown) > 4
    for words in shown:
        context = click.Context(root, info_name="sekisho")
        command: click.Command = root
        path = []
        rest = list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(context, rest[0])
            assert found is not None, words
            path.append(rest.pop(0))
            command = found
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        asked = {word.split("=", 1)[0] for word in rest if word.startswith("--")}
        assert asked <= known | {"--help", "--version"}, words
        assert CliRunner().invoke(root, [*path, "--help"]).exit_code == 0, words


def test_every_field_of_the_configuration_is_explained() -> None:
    tables = {
        "centre": CentreTable,
        "database": DatabaseTable,
        "keystore": KeystoreTable,
        "line": LineTable,
        "ops": OpsTable,
        "certificate": CertificateTable,
        "history": HistoryTable,
    }
    text = read("docs/OPERATIONS.md")
    fields = [f"`[{table}] {field}`" for table, struct in tables.items() for field in struct.__struct_fields__]
    assert [field for field in fields if field not in text] == []


@pytest.mark.parametrize("name", documents())
def test_no_document_speaks_of_one_machine_or_another_host(name: str) -> None:
    assert MACHINE.findall(read(name)) == []
    assert set(re.findall(r"https?://([^\s/:`)]+)", read(name))) <= OWN_HOSTS

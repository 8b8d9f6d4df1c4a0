"""The pages of the project as tests see them: blocks, sections, and somebody who follows them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mnistprep import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

# What the language of a fenced block means:
RUN = {"python", "sh", "console"}  # runs here, in the order of the page, in a folder of its own
MODULE = "python module"  # a file that other text talks about: imported, not run in the page
START_UP = {"bash", "zsh", "fish"}  # a line for the start-up file of that shell
SHOWN = {"text"}  # something to look at: no commands in it
SET_UP = ("<!-- export -->", "<!-- tests -->")  # stand before README's two blocks for a new machine
FENCE = re.compile(r"(?:^(<!-- .* -->)\n)?^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: the comment before it, its language, its text."""

    marker: str | None
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(*match.groups()) for match in FENCE.finditer(text)]


def sections(page: Path, level: int) -> dict[str, str]:
    """The text under each heading of a level, up to the next of that level or above."""
    text = page.read_text(encoding="utf-8")
    parts = re.split(rf"^(#{{1,{level}}}) (.*)$", text, flags=re.MULTILINE)
    return {
        title.replace("`", ""): body
        for hashes, title, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
        if len(hashes) == level
    }


def named(text: str) -> set[str]:
    """The words that a text sets in backticks, whole and in parts."""
    spans = re.findall(r"`([^`]+)`", FENCE.sub("", text))
    return set(spans) | {word for span in spans for word in re.findall(r"[\w-]+", span)}


@dataclass
class Reader:
    """Somebody who does what a page says, line by line, in one folder."""

    monkeypatch: pytest.MonkeyPatch
    names: dict[str, Any] = field(default_factory=dict)
    code: int = 0

    def follow(self, block: Block) -> None:
        """Do what a block says; fails when it does not end as the page says."""
        if block.language == "python":
            exec(compile(block.text, "<page>", "exec"), self.names)
        elif block.language == "sh":
            for line in block.text.replace("\\\n", "").splitlines():
                self.run(line)
                expected = re.search(r"# exit code (\d)$", line)
                assert self.code == (int(expected[1]) if expected else 0), line
        else:
            self.compare(block.text)

    def compare(self, text: str) -> None:
        """Run the lines that start with `$`; what they print is what the page shows after them."""
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, expected = part.partition("\n")
            assert self.code == 0 or line == "echo $?", f"exit code {self.code} before {line!r}"
            output = self.run(line)
            pattern = re.escape(plain(expected)).replace(r"\.\.\.", ".*")
            assert re.fullmatch(pattern, plain(output), re.DOTALL), f"{line}:\n{output}"

    def run(self, line: str) -> str:
        """What a command line prints; mnistprep runs in this process, all else in a shell."""
        words = shlex.split(line, comments=True)
        if not words:
            self.code = 0
            return ""
        if line == "echo $?":
            output, self.code = f"{self.code}\n", 0
            return output
        if words[0] == "export":
            self.monkeypatch.setenv(*words[1].split("=", 1))
            return ""
        environment = {}
        while re.match(r"[A-Z_]+=", words[0]):
            name, _, environment[name] = words.pop(0).partition("=")
        if words[0] != "mnistprep":
            ran = subprocess.run(
                ["bash", "-c", line],
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            self.code = ran.returncode
            return ran.stdout + ran.stderr
        target = words.pop() if ">" in words else None
        arguments = [
            path
            for word in map(os.path.expanduser, words[1:])
            if word != ">"
            for path in (sorted(glob(word)) or [word])
        ]
        result = CliRunner().invoke(cli.main, arguments, prog_name="mnistprep", env=environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        if target:
            Path(target).write_text(result.stdout, encoding="utf-8")
        self.code = result.exit_code
        return result.output


def plain(output: str) -> str:
    """Output without what differs from run to run: seconds, shares, and the width of columns."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\d+\.\d+", "#", output)).strip()

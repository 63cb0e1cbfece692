"""A Dockerfile as its instructions, and its steps as plain commands below a directory in place of the image's root."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEYWORDS = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"}  # those that we use
OF_THE_SYSTEM = ("groupadd", "useradd", "install")  # commands that change users of the machine


@dataclass(frozen=True)
class Instruction:
    keyword: str
    arguments: str

    def words(self) -> list[str]:
        """The words of the exec form."""
        words: list[str] = json.loads(self.arguments)
        assert all(isinstance(word, str) for word in words)
        return words


def instructions(text: str) -> list[Instruction]:
    """The instructions; an assertion fails for what no Dockerfile may contain."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            keyword, _, arguments = line.strip().partition(" ")
            assert keyword in KEYWORDS, line
            assert arguments.strip(), line
            found.append(Instruction(keyword, " ".join(arguments.split())))
    assert found[0].keyword == "FROM"
    return found


def last(found: list[Instruction], keyword: str) -> Instruction:
    """The last instruction of a keyword, which is the one that counts."""
    return [each for each in found if each.keyword == keyword][-1]


def health_check(found: list[Instruction]) -> list[str]:
    """The command of HEALTHCHECK."""
    _, _, command = last(found, "HEALTHCHECK").arguments.partition(" CMD ")
    return Instruction("CMD", command).words()


@dataclass
class Image:
    """What a Dockerfile makes, below `root` in place of /."""

    root: Path
    context: Path
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"

    def build(self, found: list[Instruction]) -> None:
        """Do the steps, in their order; another stage continues with the files of the one before."""
        for each in found:
            if each.keyword == "FROM":
                self.environment, self.directory = {}, "/"
            elif each.keyword == "ENV":
                values = (word.partition("=") for word in shlex.split(each.arguments))
                self.environment |= {name: self.path(value) for name, _, value in values}
            elif each.keyword == "WORKDIR":
                self.directory = each.arguments
                self.place(self.directory).mkdir(parents=True, exist_ok=True)
            elif each.keyword == "COPY" and not each.arguments.startswith("--from="):
                self._copy(*each.arguments.split())
            elif each.keyword == "RUN":
                self._run(each.arguments)

    def place(self, path: str) -> Path:
        """Where a path of the image is."""
        return self.root / path.lstrip("/")

    def path(self, text: str) -> str:
        """A command or value with the paths of the image replaced."""
        for name in ("/opt/venv", "/app", "/data", "/backups"):
            text = text.replace(name, str(self.place(name)))
        return text

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """A command in the image, to its end."""
        how = self.how(**settings)
        return subprocess.run(
            command, cwd=how["cwd"], env=how["env"], capture_output=True, text=True, timeout=240, check=False
        )

    def how(self, **settings: str) -> dict[str, Any]:
        """The directory and environment of a command: nothing of the machine but its programs and temporary files."""
        inherited = {name: os.environ[name] for name in ("TMPDIR", "LANG", "SETTINGS_FILE") if name in os.environ}
        path = f"{self.environment.get('PATH', '')}:{self.python().parent}:/usr/bin:/bin".lstrip(":")
        return {"cwd": self.place(self.directory), "env": inherited | self.environment | {"PATH": path} | settings}

    def python(self) -> Path:
        """The program `python` of the image: that of this machine."""
        program = self.place("/usr/local/bin/python")
        if not program.exists():
            program.parent.mkdir(parents=True)
            program.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" "$@"\n')
            program.chmod(0o755)
        return program

    def _run(self, command: str) -> None:
        if command.startswith(OF_THE_SYSTEM):
            for name in ("/data", "/backups"):
                self.place(name).mkdir()
            return
        # Where pip finds the packages is set up on the machine: in its environment and its home.
        outside = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HOME"))}
        done = self.run("sh", "-euc", self.path(command), **outside)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def _copy(self, *words: str) -> None:
        *sources, target = words
        into = self.place(target) if target.startswith("/") else self.place(self.directory) / target
        for source in sources:
            given = self.context / source
            if given.is_dir():
                shutil.copytree(given, into, dirs_exist_ok=True)
            else:
                shutil.copy(given, into)

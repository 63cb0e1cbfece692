"""Sources that tests write as TOML."""

import pytest
from support.source_texts import TABLE

from tasks.mofa.file_parser import source_of
from tasks.mofa.source_file import load


@pytest.fixture
def source(tmp_path):
    """Makes the source of a TOML text, after replacements in it."""

    def make(text=TABLE, *replacements, name="example"):
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / f"{name}.toml"
        file.write_text(text)
        return source_of(name, load(file))

    return make

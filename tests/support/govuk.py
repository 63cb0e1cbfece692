"""The saved real pages of GOV.UK and what they hold; tests that need them are skipped where they are missing."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
from support.project import SHARED

from tasks.mofa import sources
from tasks.mofa.embassy import Embassy, Unreadable, merge_by_key
from tasks.mofa.page import Page

DATA = SHARED / "missions"
GOVUK = DATA / "govuk-fco-worldwide"
HOST = "https://www.gov.uk"
DAYS = ("2016-04-08", "2017-06-29")

needs_data = pytest.mark.skipif(not GOVUK.exists(), reason="the shared data is not here")
govuk = sources.source("govuk")


def json_page(path: str, content: Any) -> Page:
    return Page(f"{HOST}{path}", json.dumps(content))


@cache
def offices(day: str) -> dict[str, Any]:
    """Every office in the raw files of a day, by its address after /world/organisations/."""
    found: dict[str, Any] = {}

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                walk(each)
        elif isinstance(node, dict):
            if node.get("format") == "World Office":
                found[node["web_url"].split("/world/organisations/")[1]] = node
            for each in node.values():
                walk(each)

    for file in (GOVUK / day).glob("*.json"):
        walk(json.loads(file.read_text()))
    return found


@cache
def missions(day: str) -> dict[str, Embassy]:
    """Every mission that the parser reads in the raw files of a day, by key."""
    return by_key(
        mission
        for file in (GOVUK / day).glob("*.json")
        for mission in govuk.parse(
            Page(
                f"{HOST}/api/world-locations/{file.name.removesuffix('_organisations.json')}/organisations",
                file.read_text(),
            )
        )
    )


def by_key(entries: Iterable[Embassy | Unreadable]) -> dict[str, Embassy]:
    """Missions by key; none of the entries is unreadable or contradicts another."""
    entries = list(entries)
    readable = [each for each in entries if isinstance(each, Embassy)]
    assert len(readable) == len(entries)
    found, contradicting = merge_by_key(readable)
    assert contradicting == []
    return found

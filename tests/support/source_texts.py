"""A small source file with a table, and pages for it."""

from tasks.mofa.page import Page

HOME = "https://www.mofa.example/missions"
TABLE = """
title = "Example"
home = "https://www.mofa.example/missions"
direction = "abroad"
[start]
url = "https://www.mofa.example/missions"
[missions]
css = "table.m tr:has(td)"
key = ["name"]
[fields]
name = { column = "Mission" }
kind = { constant = "embassy" }
address = { column = ["Address", "Adresse"] }
phone = { column = "Phone", optional = true }
email = { column = "E-mail", optional = true }
"""


def table(*rows: tuple[str, ...], head: tuple[str, ...] = ("Mission", "Address", "Phone", "E-mail")) -> Page:
    """A page with a table of missions."""
    heads = "".join(f"<th>{each}</th>" for each in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return Page(HOME, f"<html><body><table class='m'><tr>{heads}</tr>{lines}</table></body></html>")


def html(body: str, url: str = HOME) -> Page:
    """A page with this content."""
    return Page(url, f"<html><body>{body}</body></html>")


ROW = ("A", "1 Road", "100", "a@b.example")

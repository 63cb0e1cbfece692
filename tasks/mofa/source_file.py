"""A source as a TOML file: what it may say, and the sentences about what is wrong with it.

docs/new-ministry.md explains every key with examples; the models here are the reference.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

import httpx
import jmespath
import jmespath.exceptions
import soupsieve
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from db.display import printable, redacted
from db.errors import UserError
from tasks.mofa.embassy import COMPARED
from tasks.private_network import is_valid

PAGE = "{page}"  # in an address or a form: the number of the page
MAX_PAGES = 1_000  # of one list; more is a list that never ends


class SourceFileError(UserError, ValueError):
    """A source file cannot be used; the message names the file, each wrong key, and what to write."""


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression ({error})") from None
    return text


def _css(text: str) -> str:
    try:
        soupsieve.compile(text)
    except soupsieve.SelectorSyntaxError as error:
        raise ValueError(f"{text!r} is not a CSS selector ({str(error).splitlines()[0]})") from None
    return text


def _json(text: str) -> str:
    try:
        jmespath.compile(text)
    except jmespath.exceptions.JMESPathError:
        raise ValueError(
            f"{text!r} is not a JMESPath expression: write a key with other characters than letters, digits and _ "
            "in double quotes, for example '\"E-Mail\"'"
        ) from None
    return text


def _url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if not is_valid(url) or url.fragment:
        raise ValueError(f"{redacted(text)!r} is not an absolute address without a fragment: write https://…")
    if url.userinfo:
        raise ValueError(f"{redacted(text)!r}: write it without user and password, which everybody would read")
    return text


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Regex = Annotated[str, AfterValidator(_regex)]
Css = Annotated[str, AfterValidator(_css)]
Json = Annotated[str, AfterValidator(_json)]
Url = Annotated[str, AfterValidator(_url)]
Texts = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Start(_Strict):
    """The requests with which a crawl starts."""

    url: Annotated[list[Url], BeforeValidator(_listed), Field(min_length=1)] = Field(
        description="Address, or several; {page} in it is the number of the page"
    )
    method: Literal["GET", "POST"] = "GET"
    form: dict[str, str] = Field(default_factory=dict, description="Fields of the form that POST sends")

    @model_validator(mode="after")
    def _form_of_post(self) -> Self:
        if self.form and self.method == "GET":
            raise ValueError('a form is sent by POST: write method = "POST"')
        return self

    @property
    def counts(self) -> bool:
        """Whether the requests have a page number."""
        return all(PAGE in text for text in ("".join([url, *self.form.values()]) for url in self.url))


class Where(_Strict):
    """Where a number is on a page: exactly one of css, json and pattern."""

    css: Css | None = None
    json_: Json | None = Field(None, alias="json")
    pattern: Regex | None = Field(None, description="Searched in what css finds, or in the text of the page")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.json_ and (self.css or self.pattern)) or not (self.css or self.json_ or self.pattern):
            raise ValueError("write json, or css, or pattern, or css and pattern")
        return self


class Pages(_Strict):
    """How the pages of one list are counted: exactly one of per_page, total and last says where the list ends."""

    first: int = Field(1, ge=0, description="Number of the first page")
    step: int = Field(1, ge=1, description="From the number of one page to the next")
    per_page: int | None = Field(None, ge=1, description="Missions of a full page; the first page with fewer is last")
    total: Where | None = Field(None, description="Where the number of all missions is; needs step or per_page")
    last: Where | None = Field(None, description="Where the numbers of pages are; the greatest is the last page")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.last is not None) == (self.per_page is not None or self.total is not None):
            raise ValueError("write last, or per_page, or total")
        return self


class Links(_Strict):
    """Which links of a page the crawl follows."""

    on: Regex | None = Field(None, description="Pages with these links, by a part of their address; else the start")
    css: Css | None = Field(None, description="The links")
    json_: Json | None = Field(None, alias="json", description="The links of a JSON page: a list of texts")
    attribute: str = Field("href", description="The attribute of css that has the address")
    pattern: Regex | None = Field(None, description="A part of the absolute address; other links are not followed")
    to: str | None = Field(None, description="The address to request, with {0} or {1} of the pattern, if another")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.css is None) == (self.json_ is None):
            raise ValueError("write css or json")
        if self.to and not self.pattern:
            raise ValueError("to takes {0} or {1} from a pattern: write one")
        return self


class Pairs(_Strict):
    """Labels and values that are neither in tables nor in lists nor bold."""

    css: Css = Field(description="What has one label and its value")
    label: Css
    value: Css


class Missions(_Strict):
    """What a mission is on a page."""

    on: Regex | None = Field(
        None, description="Pages with missions, by a part of their address; else all without links"
    )
    css: Css | None = Field(None, description="Each mission; of a heading, with `until`, all that follows")
    json_: Annotated[list[Json], BeforeValidator(_listed)] = Field(
        default_factory=list, alias="json", description="Each mission of a JSON page; several: one inside the other"
    )
    sheet: str | None = Field(None, description="The sheet of a workbook that has several")
    until: Css | None = Field(None, description="Headings at which a mission ends")
    within: Css | None = Field(None, description="Each element that this selects has at least one mission")
    count: Where | None = Field(None, description="A second way to count the missions of a page; both must agree")
    labels: Literal["bold", "dl", "rows", "text"] | Pairs | None = Field(None, description="How a page writes labels")
    ignore: list[str] = Field(default_factory=list, description="Labels that are not read")
    skip: list[Regex] = Field(default_factory=list, description="Lines of text that belong to no mission")
    empty: bool = Field(False, description="A page without missions is possible")
    key: list[str] = Field(min_length=1, description="Fields by which a mission is found again")


_PLACES = (
    *("css", "above", "label", "before_labels", "rest", "json", "json_key", "outer", "column"),
    *("address", "constant", "from"),
)


class FieldRule(_Strict):
    """Where a value is, and what is taken of it."""

    css: Css | None = Field(None, description="In the mission")
    inside: Css | None = Field(None, description="With css: in the element around the mission that this selects")
    attribute: str | None = Field(None, description="With css or label: this attribute")
    above: Css | None = Field(None, description="The nearest element before the mission")
    json_: Json | None = Field(None, alias="json", description="In the JSON object of the mission")
    outer: Json | None = Field(None, description="In the objects around it, the nearest first")
    label: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list, description="Beside this label")
    before_labels: bool = Field(False, description="The text before the first label")
    rest: bool = Field(False, description="Lines of text after a label that belong to no label")
    json_key: bool = Field(False, description="The key of the mission's object in the object around it")
    column: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list, description="Heading")
    address: bool = Field(False, description="In the address of the page; needs a pattern")
    constant: str | None = Field(None, description="This text")
    from_: str | None = Field(None, alias="from", description="The value of another field")
    also: list["FieldRule"] = Field(default_factory=list, description="More places; what they have follows as lines")
    otherwise: list["FieldRule"] = Field(default_factory=list, description="Places to look where nothing was found")
    prefix: str = Field("", description="What is written before each line")
    optional: bool = Field(False, description="A mission may have none; without it, such a mission is unreadable")
    several: bool = Field(False, description="There may be several; each is a line")
    pattern: Regex | None = Field(None, description="What is taken: its group, or all of it; it must match")
    remove: Regex | None = Field(None, description="What is removed first")
    separator: str | None = Field(None, description="Between the parts of one line; each becomes a line")
    continues: Regex | None = Field(None, description="Text labels: a following line that belongs to the value")
    one_of: dict[str, str] = Field(default_factory=dict, description="The words of the page, each with its value")
    words: list[tuple[Regex, str]] = Field(default_factory=list, description="Patterns with values; the first wins")
    default: str | None = Field(None, description="With words: the value if none fits")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        found = [name for name in _PLACES if self.place(name)]
        if len(found) != 1:
            written = f", not {' and '.join(found)}" if found else ""
            raise ValueError(f"write exactly one of {', '.join(_PLACES)}{written}")
        if self.inside and not self.css:
            raise ValueError("inside needs css")
        if (self.attribute or self.several) and not (self.css or self.label):
            raise ValueError("attribute and several need css or label")
        if self.address and not self.pattern:
            raise ValueError("address needs a pattern")
        return self

    def place(self, name: str) -> Any:
        """What the rule says under this key."""
        return getattr(self, {"json": "json_", "from": "from_"}.get(name, name))

    def all(self) -> list["FieldRule"]:
        """The rule with those inside it."""
        return [self, *(inner for each in (*self.also, *self.otherwise) for inner in each.all())]


class ThresholdsOfSource(_Strict):
    """Thresholds of this source in place of MOFA_FOUND_AGAIN and the others."""

    found_again: float | None = Field(None, ge=0, le=1)
    filled: float | None = Field(None, ge=0, le=1)
    emptied: float | None = Field(None, ge=0, le=1)
    changed: float | None = Field(None, ge=0, le=1)
    unreadable: float | None = Field(None, ge=0, le=1)


class SourceFile(_Strict):
    """A whole source."""

    title: Annotated[str, AfterValidator(printable)] = Field(min_length=1, description="What people read")
    home: Url = Field(description="The page for people")
    direction: Literal["abroad", "host"] = Field(
        description="abroad: missions of this country in others; host: missions of others in this country"
    )
    language: str = Field("en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$", description="Language of the pages")
    time_zone: str = Field("UTC", description="Time zone of the ministry")
    version: int = Field(1, ge=1, description="Raise it when the same page would give other records")
    hosts: list[str] = Field(default_factory=list, description="Hosts beside those of home and start")
    format: Literal["html", "json", "table"] = Field("html", description="table: CSV or a workbook")
    script: Css | None = Field(None, description="JSON: the script element of an HTML page that has it")
    after: Regex | None = Field(None, description="JSON: the text directly before it")
    javascript: bool = Field(False, description="The page is made by JavaScript: a browser reads it")
    same: list[str] = Field(default_factory=list, description="Fields that may have one value on all missions")
    start: Start
    pages: Pages | None = None
    links: list[Links] = Field(default_factory=list)
    missions: Missions
    fields: dict[str, FieldRule]
    thresholds: ThresholdsOfSource = Field(default_factory=ThresholdsOfSource)

    @model_validator(mode="before")
    @classmethod
    def _short_fields(cls, content: Any) -> Any:
        """A field that is only a text is the selector that the format has."""
        if not isinstance(content, dict) or not isinstance(content.get("fields"), dict):
            return content
        kind = {"json": "json", "table": "column"}.get(str(content.get("format", "html")), "css")
        fields = {name: {kind: rule} if isinstance(rule, str) else rule for name, rule in content["fields"].items()}
        return {**content, "fields": fields}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [*_about_start(self), *_about_missions(self), *_about_fields(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _about_start(file: SourceFile) -> list[str]:
    problems = []
    if bool(file.pages) != file.start.counts:
        problems.append(f"start needs {PAGE} in each url or in the form, and a table pages beside it, or neither")
    if file.time_zone not in available_timezones():
        problems.append(f"time_zone {file.time_zone!r} is not known: write one like Asia/Seoul")
    if (file.script or file.after) and file.format != "json":
        problems.append('script and after need format = "json"')
    return problems


def _about_missions(file: SourceFile) -> list[str]:
    missions, wanted = file.missions, {"html": "css", "json": "json", "table": None}[file.format]
    has = [name for name, value in (("css", missions.css), ("json", missions.json_)) if value]
    problems = []
    if has != ([wanted] if wanted else []):
        problems.append(f"missions with format = {file.format!r} has {wanted or 'neither css nor json'}")
    if missions.labels and file.format != "html":
        problems.append('missions.labels needs format = "html"')
    problems += [
        f"missions.key names {each!r}, which is not a field" for each in missions.key if each not in file.fields
    ]
    return problems


def _about_fields(file: SourceFile) -> list[str]:
    problems = [f"fields.{name} is missing: write it" for name in ("name", "kind") if name not in file.fields]
    for name, rule in file.fields.items():
        if name in {"key", "extra"}:
            problems.append(f"fields.{name}: choose another name")
        if rule.from_ and (wrong := _from_what(file, name)):
            problems.append(f"fields.{name}: {wrong}")
        for each in rule.all():
            place = next(place for place in _PLACES if each.place(place))
            if place not in _ALLOWED[file.format] | {"address", "constant", "from"}:
                problems.append(f"fields.{name}: {place} cannot be used with format = {file.format!r}")
            if place in {"label", "before_labels", "rest"} and not file.missions.labels:
                problems.append(f"fields.{name}: {place} needs missions.labels (bold, dl, rows, text or pairs)")
            if each.from_ and each is not rule:
                problems.append(f"fields.{name}: from cannot be used in also and otherwise")
    problems += [f"same names {each!r}, which is not a field" for each in file.same if each not in COMPARED]
    return problems


_ALLOWED = {
    "html": {"css", "above", "label", "before_labels", "rest", "column"},
    "json": {"json", "json_key", "outer"},
    "table": {"column"},
}


def _from_what(file: SourceFile, name: str) -> str | None:
    """Why the field cannot be made of another one; None: it can."""
    met = {name}
    while (before := file.fields[name].from_) is not None:
        if before not in file.fields:
            return f"there is no field {before!r}"
        if before in met:
            return "it is made of itself"
        met.add(name := before)
    return None


def load(path: Path) -> SourceFile:
    """The source in this file. Raises SourceFileError, which names everything that is wrong."""
    try:
        if path.exists() and not path.is_file():  # what is a pipe would be waited for
            raise SourceFileError(f"{path.name} is not a file")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceFileError(
            f"{path.name} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SourceFileError(f"{path.name} is not TOML: {error}") from None
    except RecursionError:
        raise SourceFileError(f"{path.name} is nested too deeply") from None
    try:
        return SourceFile.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(_sentence(each) for each in error.errors(include_url=False, include_context=False))
        raise SourceFileError(f"{path.name}: {wrong}. docs/new-ministry.md explains the keys") from None
    except RecursionError:
        raise SourceFileError(f"{path.name}: a pattern or a selector is nested too deeply") from None


def _sentence(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{where} is not a key: correct or remove it"
    if problem["type"] == "missing":
        return f"{where} is missing: write it"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {said[:1].lower()}{said[1:]}" if where else said

"""The parser of GOV.UK's older API against two real snapshots, fourteen months apart.

Every expected count is made here from the raw files, in another way than the parser's own.
"""

import re

import pytest
from support.govuk import GOVUK, missions, needs_data, offices

from tasks.mofa.diff import Known, match_renamed
from tasks.mofa.embassy import differences
from tasks.mofa.plausibility import find_anomalies

pytestmark = needs_data


def both():
    """Raw offices and missions of both days, for those found again."""
    old, new = offices("2016-04-08"), offices("2017-06-29")
    for address in old.keys() & new.keys():
        key = address.replace("/office/", "/")
        yield old[address], new[address], missions("2016-04-08")[key], missions("2017-06-29")[key]


@pytest.mark.parametrize(("day", "count"), [("2016-04-08", 717), ("2017-06-29", 703)])
def test_every_office_of_govuk_is_one_mission(day, count):
    assert len(offices(day)) == count
    assert missions(day).keys() == {address.replace("/office/", "/") for address in offices(day)}


def test_missions_of_govuk_are_found_again_whatever_the_address_scheme():
    addresses = [{office["web_url"] for office in offices(day).values()} for day in ("2016-04-08", "2017-06-29")]
    assert len(addresses[0] & addresses[1]) == 0  # every address moved from /government/world to /world
    assert len(missions("2016-04-08").keys() & missions("2017-06-29").keys()) == 579


@pytest.mark.parametrize("day", ["2016-04-08", "2017-06-29"])
def test_every_filled_field_of_govuk_arrives(day):
    raw, parsed = offices(day).values(), missions(day).values()

    def filled(field):
        return sum(getattr(each, field) is not None for each in parsed)

    assert filled("address") == sum(bool(each["address"]["label"]["value"].strip()) for each in raw)
    assert filled("country") == sum(bool(each["address"]["adr"]["country-name"].strip()) for each in raw)
    assert filled("city") == sum(bool(each["address"]["adr"]["locality"].strip(" -")) for each in raw)
    hours = [re.sub(r"<[^>]*>|&nbsp;|\s", "", each["details"]["access_and_opening_times"] or "") for each in raw]
    assert filled("opening_hours") == sum(map(bool, hours))
    values_of = [[*(each["number"] for each in row["contact_numbers"]), row["details"]["email"]] for row in raw]
    reached = sum(any(each.strip() not in {"", "N/A"} for each in row) for row in values_of)
    assert sum(bool(each.phone or each.fax or each.email) for each in parsed) == reached


def test_every_digit_and_mailbox_of_govuk_arrives():
    for address, raw in offices("2016-04-08").items():
        mission = missions("2016-04-08")[address.replace("/office/", "/")]
        written = "".join(f"{each['label']} {each['number']} " for each in raw["contact_numbers"])
        kept = " ".join(filter(None, (mission.phone, mission.fax, mission.email)))
        assert sorted(re.findall(r"\d", written + raw["details"]["email"])) == sorted(re.findall(r"\d", kept))
        mailboxes = re.findall(r"[\w.-]+@[\w.-]+", f"{written} {raw['details']['email']}")
        assert sorted(mailboxes) == sorted(re.findall(r"[\w.-]+@[\w.-]+", kept))
        alone = [
            each["number"].strip() for each in raw["contact_numbers"] if re.fullmatch(r"\s*\S+@\S+\s*", each["number"])
        ]
        assert all(each in (mission.email or "") for each in alone)


def bare(text):
    """Letters and digits alone, without markup."""
    return re.sub(r"[\W_]|<[^>]*>", "", re.sub(r"<[^>]*>", " ", text or "")).casefold()


@pytest.mark.parametrize(
    ("field", "count", "value"),
    [
        ("name", 117, lambda raw: raw["title"]),
        ("address", 47, lambda raw: raw["address"]["label"]["value"]),
        ("opening_hours", 336, lambda raw: raw["details"]["access_and_opening_times"]),
    ],
)
def test_fields_of_govuk_changed_on_as_many_missions_as_the_raw_files_say(field, count, value):
    rows = list(both())
    assert sum(bare(value(old)) != bare(value(new)) for old, new, *_ in rows) == count
    assert sum(field in differences(before, after) for *_, before, after in rows) == count


def test_numbers_and_mailboxes_of_govuk_changed_where_the_raw_files_say():
    def raw_contacts(raw):
        return raw["details"]["email"], [(each["label"], each["number"]) for each in raw["contact_numbers"]]

    def values_of(raw):
        text = f"{raw['details']['email']} ; " + " ; ".join(each["number"] for each in raw["contact_numbers"])
        numbers = (each["number"].replace("(0)", "") for each in raw["contact_numbers"])  # dialled inside only
        digits = sorted(re.sub(r"\D", "", each) for each in numbers)
        return sorted({each.strip("().").casefold() for each in re.findall(r"[^\s;,/]+@[^\s;,/]+", text)}), digits

    same = changed = 0
    for old, new, before, after in both():
        seen = bool({"phone", "fax", "email"} & set(differences(before, after)))
        if raw_contacts(old) == raw_contacts(new):
            same += 1
            assert not seen
        if values_of(old) != values_of(new):
            changed += 1
            assert seen
    assert same > 350
    assert changed > 100


def test_a_trade_office_renamed_in_all_countries_is_renamed_and_not_closed():
    old, new = missions("2016-04-08"), missions("2017-06-29")
    matched = match_renamed(
        {key: old[key] for key in old.keys() - new.keys()}, {key: new[key] for key in new.keys() - old.keys()}
    )
    trade = {fresh: gone for fresh, gone in matched.items() if fresh.startswith("department-for-international-trade-")}
    assert len(trade) > 70
    for fresh, gone in trade.items():
        assert gone == fresh.replace("department-for-international-trade-", "uk-trade-investment-", 1)


def test_countries_that_share_a_mission_of_govuk_are_all_kept():
    listed = {}
    for file in (GOVUK / "2016-04-08").glob("*.json"):
        for slug in re.findall(r'"web_url": "[^"]*/world/organisations/([^"]*)/office/', file.read_text()):
            listed.setdefault(slug, set()).add(file.name.removesuffix("_organisations.json"))
    for key, mission in missions("2016-04-08").items():
        assert set(mission.extra["countries"]) == listed[key.split("/")[0]]
    assert sum(len(countries) > 1 for countries in listed.values()) > 30


def test_fourteen_months_of_real_changes_at_once_are_accepted_and_a_reading_by_address_is_not():
    before = {key: Known(mission) for key, mission in missions("2016-04-08").items()}
    assert find_anomalies(before, missions("2017-06-29"), highest=717, verified=True) == []
    half = dict(list(missions("2017-06-29").items())[::2])
    assert len(find_anomalies(before, half, highest=717, verified=True)) == 1
    by_address = {f"/world/{key}": mission for key, mission in missions("2017-06-29").items()}
    assert find_anomalies(before, by_address, highest=717, verified=True)[0].startswith("Only 0 open missions")

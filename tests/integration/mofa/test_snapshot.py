"""A page that could not be read is kept, and a command shows it."""

import re
from collections import Counter

from support import ministry as fake_ministry
from support.ministry import HOST, missions

from db.embassies import UNPARSED
from tasks.mofa.progress import listener
from tasks.mofa.snapshot import main


def test_a_page_that_could_not_be_read_is_kept_and_shown_by_the_command_in_the_message(watch, tmp_path, capsys):
    watch.ministry.show(missions())
    watch()
    good = watch.rows("SELECT id FROM page_snapshots")
    page = "<html><title>New design</title><p>Our missions \x1b[31mhave moved.</p></html>"
    watch.ministry.answers = {"/region/1": fake_ministry.page(page)}
    message = watch().message
    [number] = re.findall(r"python -m tasks\.mofa\.snapshot (\d+)", message)
    [kept] = watch.rows("SELECT * FROM page_snapshots WHERE id = %s", number)
    assert (kept["url"], kept["body"], kept["version"], kept["records"]) == (f"{HOST}/region/1", page, UNPARSED, [])
    assert main([number]) == 0
    shown = capsys.readouterr()
    assert shown.out == page.replace("\x1b", "") + "\n", "nothing that commands the terminal"
    assert f"testland: {HOST}/region/1, fetched" in shown.err
    out = tmp_path / "page.html"
    assert main([number, str(out)]) == 0
    assert out.read_text() == page
    watch.ministry.answers = {}
    assert watch.report()["unchanged"] == len(good), "what was kept for a person is not compared with"


def test_a_snapshot_that_does_not_exist_is_one_sentence(watch, capsys, tmp_path):
    assert main(["999"]) == 1
    assert "there is no snapshot 999" in capsys.readouterr().err
    watch.ministry.show(missions())
    watch()
    assert main(["1", str(tmp_path / "no" / "directory")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_each_retry_is_a_line_for_the_terminal(watch):
    watch.ministry.show(missions())
    watch.ministry.answers = {"/region/1": fake_ministry.status(503)}
    lines: list[str] = []
    token = listener.set(lines.append)
    try:
        assert watch().is_failed()
    finally:
        listener.reset(token)
    retries = [line for line in lines if "the server answers 503" in line]
    assert len(retries) == Counter(watch.ministry.asked)["/region/1"] - 1, "after the last request nothing is retried"
    assert len(retries) > 4
    assert all(re.search(r"in (about )?\d+ seconds", line) for line in retries)
    assert all(f"(from the mirror {watch.ministry.url})" in line for line in retries)

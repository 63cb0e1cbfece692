"""The text of a page, whatever its server declares."""

import pytest

from tasks.mofa.charset import decode


def short(value: object) -> str:
    return str(value)[:30]


def read(body: bytes, content_type: str | None) -> str | None:
    found = decode(body, content_type)
    return found.text if found else None


JAPANESE = "<p>在日大使館一覧:東京都千代田区永田町〒102-8381 電話 髙橋①</p>" * 20
KOREAN = "<p>주한 공관 주소록: 서울특별시 종로구 세종대로 209 전화 똠방각하</p>" * 20
RUSSIAN = "<p>Посольство Российской Федерации, адрес: улица Большая, телефон приёмной</p>" * 20


@pytest.mark.parametrize(
    ("text", "charset", "label"),
    [
        (JAPANESE, "cp932", "Shift_JIS"),
        (JAPANESE, "cp932", "x-sjis"),
        (JAPANESE.replace("髙", "高").replace("①", ""), "euc_jp", "EUC-JP"),
        (JAPANESE.replace("髙", "高").replace("①", ""), "iso2022_jp", "ISO-2022-JP"),
        (KOREAN, "cp949", "EUC-KR"),
        (KOREAN, "cp949", "ks_c_5601-1987"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        ("<p>Zürich, 5 € “x”</p>", "cp1252", "ISO-8859-1"),
        (KOREAN, "utf-8", "utf-8"),
    ],
    ids=short,
)
def test_a_charset_is_taken_from_the_header_or_else_from_the_meta_element(text, charset, label):
    assert read(text.encode(charset), f"text/html; charset={label}") == text
    for meta in (f'<meta charset="{label}">', f'<meta http-equiv=x content="text/html; charset={label}">'):
        assert read((meta + text).encode(charset), "text/html") == meta + text


@pytest.mark.parametrize(
    ("text", "charset", "header"),
    [
        (JAPANESE, "cp932", "utf-8"),
        (KOREAN, "cp949", "utf-8"),
        (JAPANESE, "utf-8", "shift_jis"),
        (KOREAN, "utf-8", "euc-kr"),
        (RUSSIAN, "utf-8", "windows-1251"),
        (JAPANESE, "utf-8", "iso-8859-1"),
        (JAPANESE, "utf-16", "utf-8"),
        (JAPANESE, "utf-8-sig", "shift_jis"),
    ],
    ids=short,
)
def test_a_wrong_charset_in_the_header_is_found_out(text, charset, header):
    assert read(text.encode(charset), f"text/html; charset={header}") == text


def test_the_meta_element_goes_before_a_header_that_fits_anything():
    text = '<meta charset="Shift_JIS">' + JAPANESE
    assert read(text.encode("cp932"), "text/html; charset=ISO-8859-1") == text


@pytest.mark.parametrize(
    ("text", "charset"), [(JAPANESE, "cp932"), (KOREAN, "cp949"), (RUSSIAN, "cp1251"), (JAPANESE, "utf-8")], ids=short
)
def test_without_any_label_the_bytes_tell(text, charset):
    assert read(text.encode(charset), None) == text


@pytest.mark.parametrize("label", ["utf-7", "rot13", "hex", "unicode_escape", "idna", "no-such", "utf-16", "zip"])
def test_a_label_that_is_no_charset_of_pages_is_ignored(label):
    assert read(b"<p>+ADw-script+AD4- \\u0041</p>", f"text/html; charset={label}") == (
        "<p>+ADw-script+AD4- \\u0041</p>"
    )


def test_one_broken_byte_does_not_lose_the_page():
    body = JAPANESE.encode("cp932").replace(b"<p>", b"<p>\x81 ", 1)
    text = read(body, "text/html; charset=Shift_JIS")
    assert text is not None
    assert "千代田区永田町" in text
    assert "\ufffd" in text

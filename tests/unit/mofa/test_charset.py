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
def test_without_any_label_the_bytes_decide(text, charset):
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


FRENCH = "<p>Ambassade de Suède, rue de l’Église 5, Côte d’Ivoire, Pérou</p>" * 5
POLISH = "<p>Ambasada Łotwy, ul. Świętokrzyska 3, Kraków, Żoliborz</p>" * 5
GREEK = "<p>Πρεσβεία της Σουηδίας, Βασιλίσσης Σοφίας 7, Αθήνα</p>" * 5
TURKISH = "<p>İsveç Büyükelçiliği, Kâtip Çelebi Sokağı, Ankara, Şili</p>" * 5
HEBREW = "<p>שגרירות שוודיה, רחוב הירקון 12, תל אביב</p>" * 5
ARABIC = "<p>سفارة السويد، شارع محمد صبري، القاهرة</p>" * 5
THAI = "<p>สถานทูตสวีเดน ถนนสุขุมวิท กรุงเทพ</p>" * 5
CHINESE = "<p>瑞典大使馆 北京市朝阳区东直门外大街 电话</p>" * 5
TAIWANESE = "<p>瑞典辦事處 臺北市信義區基隆路 電話</p>" * 5


@pytest.mark.parametrize("content_type", [None, "text/html; charset=utf-8"])
@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (GREEK, "cp1253"),
        (TURKISH, "cp1254"),
        (HEBREW, "cp1255"),
        (ARABIC, "cp1256"),
        (THAI, "cp874"),
        (CHINESE, "gb18030"),
        (TAIWANESE, "big5"),
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp866"),
    ],
    ids=short,
)
def test_a_page_that_names_no_charset_or_a_false_one_is_guessed_and_the_guess_is_said(text, charset, content_type):
    page = f"<html><title>Missions</title><body class=list>{text}</body></html>"
    found = decode(page.encode(charset), content_type)
    assert found is not None
    assert found.text == page
    assert found.assumed is not None


def test_a_declared_charset_is_no_guess():
    found = decode(RUSSIAN.encode("cp1251"), "text/html; charset=windows-1251")
    assert found is not None
    assert found.assumed is None


@pytest.mark.parametrize(("text", "charset"), [(RUSSIAN, "cp1251"), (GREEK, "cp1253"), (JAPANESE, "cp932")], ids=short)
def test_iso_8859_1_is_not_accepted_of_words_that_no_language_has(text, charset):
    assert read(text.encode(charset), "text/html; charset=ISO-8859-1") == text


def test_euc_jp_has_the_characters_of_windows():
    text = "東京都港区 ①ビル ㈱ 髙橋 ﾋﾞﾙ №5 丂"
    euc = b"".join(each.encode("ascii") if each.isascii() else euc_of(each) for each in text)
    assert read(euc, "text/html; charset=EUC-JP") == text


def euc_of(character: str) -> bytes:
    """One character in EUC-JP as browsers write it: by its row and cell in Windows-31J, or in JIS X 0212."""
    try:
        lead, *rest = character.encode("cp932")
    except UnicodeError:
        return character.encode("euc_jp")
    if not rest:
        return bytes([0x8E, lead])
    row = (lead - (0x81 if lead < 0xA0 else 0xC1)) * 2 + 1
    trail = rest[0]
    if trail >= 0x9F:
        return bytes([row + 1 + 0xA0, trail - 0x9E + 0xA0])
    return bytes([row + 0xA0, trail - (0x3F if trail < 0x7F else 0x40) + 0xA0])


def test_a_few_bytes_that_are_no_utf_8_leave_the_rest_of_the_page_as_it_is():
    body = f"<p>{KOREAN}{FRENCH}</p>".encode() + "<p>Église</p>".encode("cp1252")
    for content_type in (None, "text/html; charset=iso-8859-1", "text/html; charset=euc-kr"):
        found = decode(body, content_type)
        assert found is not None
        assert "주한 공관" in found.text
        assert "Suède" in found.text
        assert "\ufffdglise" in found.text
        assert found.assumed is not None


def test_a_page_that_was_encoded_twice_is_read_as_it_was_meant():
    twice = RUSSIAN.encode().decode("latin-1").encode()
    found = decode(twice, "text/html; charset=utf-8")
    assert found is not None
    assert (found.text, bool(found.assumed)) == (RUSSIAN, True)


@pytest.mark.parametrize("body", [bytes(range(256)) * 40, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4])
def test_what_is_no_text_is_none(body):
    assert decode(body, "application/octet-stream") is None


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_byte_order_mark_is_read(charset):
    text = f"<html><body>{RUSSIAN}</body></html>"
    assert read(text.encode(charset), "text/html; charset=utf-8") == text

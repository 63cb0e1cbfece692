"""Pages of ministries in the layout of the real ones, with invented missions, and the records they must give.

The rows below are the truth: a page is made of them in one way, the expected record in another, and the source's
parser is neither. Notations are those of real lists; names, numbers and addresses are invented.
"""

import json
from html import escape

from support.english_lists import australia, govuk, ireland

from tasks.mofa.embassy import Embassy
from tasks.mofa.page import Page
from tasks.mofa.request import Request

# --- Korea

KOREA = "https://www.mofa.go.kr/www/pgm/m_4073/uss/cnsrshp/inKoEmblgbdAdres.do"
_KOREAN = [  # name, website, head, credentials, postcode, address, e-mail, telephone, fax; kind, country
    (
        *("아틀란티스", "", "Ada EXAMPLE", "2025.12.11.", "04999", "서울특별시 용산구 가상로 1"),
        *("a@atlantis.example / b@atlantis.example", "700-1001/ 700-2002/3", "700-1009", "embassy", "아틀란티스"),
    ),
    (
        *("루리타니아", "http://", "Bob EXAMPLE", "대사대리 (Charge d'Affaires a.i.)", "04998"),
        *("서울특별시 중구 가상로 2, 예시빌딩 4층", "ruritania@mission.example", "700-3814~6", "-"),
        *("embassy", "루리타니아"),
    ),
    (
        *("주부산엘도니아총영사관", "http://https://busan.eldonia.example", "Cy EXAMPLE", "총영사 (consul general)"),
        *("48999", "부산광역시 가상구 해변로 3", "busan@eldonia.example", "(051) 700-5104~6", "(051) 700-1630"),
        *("consulate general", "엘도니아"),
    ),
    (
        *("주제주엘도니아영사관", "http://.", ".", ".", "63999", "제주도 가상시 4", "-", ".", "."),
        *("consulate", "엘도니아"),
    ),
    (
        *("유엔가상센터", "http://www.centre.example/ko", "Di EXAMPLE", "Director", "22999", "인천시 가상구 5 & 6"),
        *("x@centre.example", "032)700-6570/6551", "N/A", "international organisation", "유엔가상센터"),
    ),
    (
        *("유럽연합", "", "Ed EXAMPLE", "2024.05.21.", "04997", "서울특별시 중구 가상로 7", "", "700-3700", "700-1211"),
        *("delegation", "유럽연합"),
    ),
    (
        *("콩고(D.R.)", "http://-", "Flo EXAMPLE", "2023.05.12.", "04996", "서울특별시 종로구 가상로 8"),
        *("c@congo.example", "700-7958", "700-7998", "embassy", "콩고(D.R.)"),
    ),
]
_KOREAN_LABELS = ("공관장 성명", "신임장제정일", "우편번호", "주소", "이메일", "전화번호", "팩스번호")


def korea_page(number: int, items: list[tuple[str, ...]]) -> Page:
    """A page of the list: name, website and the seven labelled values of each mission."""
    missions = ""
    for name, website, *values in items:
        link = f'<a href="{escape(website)}" target="_blank">{escape(name)}</a>'
        title = link if website else f"<strong>{escape(name)}</strong>"
        lines = "".join(
            f"<li><b>{label} : </b> {escape(value)}</li>" for label, value in zip(_KOREAN_LABELS, values, strict=True)
        )
        missions += f"<li>\n<h3>{title}</h3>\n<ul>{lines}</ul>\n</li>\n"
    form = {"cPage": str(number), "srchOrd": "", "srchTxt": ""}
    return Page(
        Request.post(KOREA, form).address,
        f'<!DOCTYPE html><html lang="ko"><head><title>주한공관주소록</title></head><body><h2>주한공관주소록</h2>'
        f'<div class="bo_list2"><ul>{missions}</ul></div><div class="pagination"><a href="#">1</a></div></body></html>',
        content_type="text/html;charset=UTF-8",
    )


def korea() -> tuple[list[Page], list[Embassy]]:
    """Two pages, of five and of two missions."""
    pages = [korea_page(1, [row[:9] for row in _KOREAN[:5]]), korea_page(2, [row[:9] for row in _KOREAN[5:]])]
    websites = {
        "주부산엘도니아총영사관": "https://busan.eldonia.example",
        "유엔가상센터": "http://www.centre.example/ko",
    }
    keys = {"콩고(D.R.)": "콩고-d-r"}

    def given(text: str) -> str | None:
        return None if text in {"", "-", ".", "N/A"} else text.replace(" / ", "\n") if "@" in text else text

    return pages, [
        Embassy(
            key=keys.get(name, name),
            kind=kind,
            name=name,
            country=country,
            address=address,
            phone=given(phone),
            fax=given(fax),
            email=given(email),
            website=websites.get(name),
            head_of_mission=given(head),
            extra={"postcode": postcode, **({"credentials": credentials} if given(credentials) else {})},
        )
        for name, _, head, credentials, postcode, address, email, phone, fax, kind, country in _KOREAN
    ]


# --- Germany

GERMANY = "https://www.auswaertiges-amt.de/opendata/representativesIn"
_GERMAN: dict[str, dict[str, dict[str, object]]] = {  # ids of country and address
    "100": {
        "1001": {
            "title": "Botschaft der Bundesrepublik Deutschland", "leader": "Ada Beispiel, Botschafterin",
            "country": "Atlantis", "zip": "00100", "city": "Port Example", "street": "Hafenweg", "number": "7",
            "telefone": "+00 100 20 21 22", "fax": "+00 100 20 21 23", "mail": "info@port-example.example",
            "url": "https://port-example.example", "postal": "Postfach 1\r\n00100 Port Example", "type": "Botschaft",
            "open": "Mo - Fr 9:00 - 12:00 Uhr", "remark": "", "departments": None, "misc": "", "region": "",
            "locales": "Deutsch", "lastModified": 1499681492000,
        },
        "1002": {
            "title": "Honorarkonsul der Bundesrepublik Deutschland", "country": "Atlantis", "zip": "",
            "city": "Süddorf", "street": "Ringstraße 4", "telefone": "+00 100 30 31, +00 100 30 32",
            "type": "Honorarkonsul", "mail": "sued[at]port-example.example",
        },
    },
    "200": {
        "2001": {
            "title": "Generalkonsulat der Bundesrepublik Deutschland", "country": "Ruritanien", "zip": "2000",
            "city": "Strelsau", "street": "Schlossplatz", "number": "1", "type": "Generalkonsulat",
        },
        "2002": {
            "title": "Goethe-Treff", "country": "Ruritanien", "city": "Zenda", "street": "Burg 2", "type": "Lesesaal",
        },
    },
}  # fmt: skip


def germany_page(direction: str, countries: dict[str, dict[str, dict[str, object]]]) -> Page:
    """The answer of the interface: objects by id, with lists of the ids and times among them."""
    response: dict[str, object] = {"lastModified": 1764400000, "contentList": list(countries)}
    for number, addresses in countries.items():
        response[number] = {**addresses, "lastModified": 1499681492000, "contentList": list(addresses)}
    text = json.dumps({"response": response}, ensure_ascii=False, indent=1)
    return Page(f"{GERMANY}{direction}", text, content_type="text/json;charset=UTF-8")


def germany(direction: str = "Country") -> tuple[list[Page], list[Embassy]]:
    """One answer with four missions."""
    return [germany_page(direction, _GERMAN)], [
        Embassy(
            key="1001", kind="embassy", name="Botschaft der Bundesrepublik Deutschland", country="Atlantis",
            city="Port Example", address="Hafenweg 7\n00100 Port Example", phone="+00 100 20 21 22",
            fax="+00 100 20 21 23", email="info@port-example.example", website="https://port-example.example",
            head_of_mission="Ada Beispiel, Botschafterin", opening_hours="Mo - Fr 9:00 - 12:00 Uhr",
            extra={"id": "1001", "postal_address": "Postfach 1\n00100 Port Example"},
        ),
        Embassy(
            key="1002", kind="honorary consulate", name="Honorarkonsul der Bundesrepublik Deutschland",
            country="Atlantis", city="Süddorf", address="Ringstraße 4\nSüddorf",
            phone="+00 100 30 31, +00 100 30 32", email="sued@port-example.example", extra={"id": "1002"},
        ),
        Embassy(
            key="2001", kind="consulate general", name="Generalkonsulat der Bundesrepublik Deutschland",
            country="Ruritanien", city="Strelsau", address="Schlossplatz 1\n2000 Strelsau", extra={"id": "2001"},
        ),
        Embassy(
            key="2002", kind="other", name="Goethe-Treff", country="Ruritanien", city="Zenda", address="Burg 2\nZenda",
            extra={"id": "2002", "kind": "Lesesaal"},
        ),
    ]  # fmt: skip


# --- Russia

RUSSIA = "https://www.mid.ru/bdomp/zu_r.nsf/straweb"


def russia() -> tuple[list[Page], list[Embassy]]:
    """One page with three missions of two countries."""
    emergency = "Телефон для экстренной связи в случае возникновения чрезвычайной ситуации:"

    def table(name: str, *rows: tuple[str, str]) -> str:
        cells = "".join(f"<tr><td>{label}</td><td>{value}</td></tr>" for label, value in rows)
        return f'<table><tr><td colspan="2"><h3>{name}</h3></td></tr>{cells}</table>'

    def block(country: str, *tables: str) -> str:
        return (
            f'<div class="countrycontact"><div class="country">{country}</div>'
            f'<div class="contacts">{"".join(tables)}</div></div>'
        )

    text = (
        "<!DOCTYPE html><html><head><title>МИД России</title></head><body>"
        + block(
            "Атлантида",
            table(
                "Посольство в Порт-Пример",
                ("Адрес:", "Harbour Road 1,<br>00100 Port Example"),
                ("Телефон:", "(8-10-00) 100-20-30"),
                (emergency, "100-99-99<br>100-99-98"),
                ("Факс:", "100-20-31"),
                ("e-mail:", '<a href="mailto:rus@port.example">rus@port.example</a>'),
                ("web:", "www.rus.port.example"),
            ),
            table("Генконсульство в Зюйддорфе", ("Адрес:", "Ringstrasse 4"), ("Телефон:", "200-10-10"), ("web:", "")),
        )
        + block("Руритания", table("Пoсольство", ("Адрес:", "Zenda 2"), ("социальные сети:", "@rus_ruritania")))
        + "</body></html>"
    )
    return [Page(RUSSIA, text, content_type="text/html; charset=utf-8")], [
        Embassy(
            key="атлантида/посольство-в-порт-пример", kind="embassy", name="Посольство в Порт-Пример",
            country="Атлантида", address="Harbour Road 1,\n00100 Port Example",
            phone="(8-10-00) 100-20-30\nэкстренная связь: 100-99-99\nэкстренная связь: 100-99-98", fax="100-20-31",
            email="rus@port.example", website="www.rus.port.example",
        ),
        Embassy(
            key="атлантида/генконсульство-в-зюйддорфе", kind="consulate general", name="Генконсульство в Зюйддорфе",
            country="Атлантида", address="Ringstrasse 4", phone="200-10-10",
        ),
        Embassy(
            key="руритания/пoсольство", kind="other", name="Пoсольство", country="Руритания", address="Zenda 2",
            extra={"social_media": "@rus_ruritania"},
        ),
    ]  # fmt: skip


# --- Japan

JAPAN = "https://www.mofa.go.jp/mofaj/link/emblist/"
_BACK = "<p><a href='index.html'>駐日外国公館リストの目次へ戻る</a></p>"


def japan_page(*missions: str, name: str = "europe.html") -> Page:
    """A page of a region."""
    return Page(
        f"{JAPAN}{name}",
        "<!DOCTYPE html><html lang='ja'><head><title>駐日外国公館リスト</title></head><body><h1>欧州</h1>"
        f"<h3>一覧</h3><p><a href='#01'>ア行</a></p>{_BACK.join(missions)}{_BACK}</body></html>",
        content_type="text/html",
    )


JAPANESE = [
    """<h3>アトランティス大使館</h3><h4>Embassy of the Republic of Atlantis in Japan</h4>
    <p>〒108-0099 東京都港区架空1-2-3<br>
    電話:03-0000-1944、03-0000-1945<br>(土日祝日は休館)<br>管轄区域:日本全国</p>""",
    """<h3>在大阪ルリタニア総領事館</h3><h4>Consulate-General of Ruritania in Osaka</h4>
    <p>〒530-0099 大阪府大阪市架空区4-5</p><p>TEL 06-0000-5820 FAX番号:06-0000-5830</p>""",
    """<h3>エルドニア代表事務所</h3><h4>Eldonia Representative Office</h4>
    <dl><dt>所在地</dt><dd>〒１０８－００９８ 東京都架空区6</dd><dt>電話番号</dt><dd>03-0000-1111</dd></dl>""",
]


def japan() -> tuple[list[Page], list[Embassy]]:
    """An index and the page of a region with three missions."""
    index = Page(
        f"{JAPAN}index.html",
        "<!DOCTYPE html><html lang='ja'><head><title>駐日外国公館リスト</title></head><body>"
        "<a href='/mofaj/index.html'>外務省</a><a href='europe.html'>欧州</a><a href='europe.html#01'>ア行</a>"
        "<a href='index.html'>目次</a></body></html>",
        content_type="text/html",
    )
    return [index, japan_page(*JAPANESE)], [
        Embassy(
            key="embassy-of-the-republic-of-atlantis-in-japan/アトランティス大使館", kind="embassy",
            name="Embassy of the Republic of Atlantis in Japan", country="Atlantis",
            address="〒108-0099 東京都港区架空1-2-3", phone="03-0000-1944\n03-0000-1945",
            extra={"name_ja": "アトランティス大使館", "consular_district": "日本全国", "note": "(土日祝日は休館)"},
        ),
        Embassy(
            key="consulate-general-of-ruritania-in-osaka/在大阪ルリタニア総領事館", kind="consulate general",
            name="Consulate-General of Ruritania in Osaka", country="Ruritania",
            address="〒530-0099 大阪府大阪市架空区4-5", phone="06-0000-5820", fax="06-0000-5830",
            extra={"name_ja": "在大阪ルリタニア総領事館"},
        ),
        Embassy(
            key="eldonia-representative-office/エルドニア代表事務所", kind="representative office",
            name="Eldonia Representative Office", address="〒１０８－００９８ 東京都架空区6", phone="03-0000-1111",
            extra={"name_ja": "エルドニア代表事務所"},
        ),
    ]  # fmt: skip


LISTS = {
    "australia": australia,
    "germany": germany,
    "germany-host": lambda: germany("Germany"),
    "govuk": govuk,
    "ireland": ireland,
    "japan": japan,
    "korea": korea,
    "russia": russia,
}

"""Encodings: short lists are read right or refused, never garbled; Western lists need no word from anybody."""

from pathlib import Path

import pytest

from tasks.crm.readers.workbook import WorkbookError, open_workbook

# language -> its usual encodings, names of people and places (invented or of no person), headings
LISTS = {
    "slovene": (["cp1250", "iso8859-2"],
              ("Jože;Kovačič;joze@x.si;Čebelarstvo Žagar;Črnuče\n"
               "Ančka;Šušteršič;a@x.si;Mlekarna;Kočevje")),
    "czech": (["cp1250", "iso8859-2", "cp852"],
              ("Jiří;Dvořák;j@x.cz;Řeznictví Šťastný;Plzeň\n"
               "Zdeněk;Růžička;z@x.cz;Pivovar;Žďár")),
    "polish": (["cp1250", "iso8859-2", "cp852"],
              ("Łukasz;Wiśniewski;l@x.pl;Księgarnia Źródło;Łódź\n"
               "Małgorzata;Dąbrowska;m@x.pl;Piekarnia;Gdańsk")),
    "hungarian": (["cp1250", "iso8859-2"],
              ("Győző;Szűcs;g@x.hu;Könyvesbolt;Győr\n"
               "Erzsébet;Kőműves;e@x.hu;Pékség;Pécs")),
    "croatian": (["cp1250", "iso8859-2"],
              ("Đuro;Kovačević;d@x.hr;Knjižara Šibenik;Čakovec\n"
               "Željka;Perić;z@x.hr;Pekara;Požega")),
    "turkish": (["cp1254"],
              ("Ayşe;Yıldız;ayse@x.tr;Işık Şirketi;Muğla\n"
               "İbrahim;Çağlar;ibo@x.tr;Güneş;Eskişehir")),
    "lithuanian": (["cp1257"],
              ("Žygimantas;Kazlauskas;z@x.lt;Knygynas Šaltinis;Šiauliai\n"
               "Rūta;Jankauskienė;r@x.lt;Kepykla;Panevėžys")),
    "russian": (["cp1251", "koi8-r", "iso8859-5", "cp866", "mac-cyrillic"],
              ("Иван;Петров;i@x.ru;ООО Ромашка;Москва\n"
               "Анна;Сидорова;a@x.ru;Заря;Тула")),
    "ukrainian": (["cp1251", "koi8-u"],
              ("Їжак;Ковальчук;k@x.ua;Книгарня Є;Київ\n"
               "Олена;Шевчук;o@x.ua;Пекарня;Львів")),
    "greek": (["cp1253", "iso8859-7"],
              ("Γιώργος;Παπαδόπουλος;g@x.gr;Βιβλιοπωλείο;Αθήνα\n"
               "Ελένη;Νικολάου;e@x.gr;Φούρνος;Πάτρα")),
    "hebrew": (["cp1255", "iso8859-8"],
              ("דוד;כהן;d@x.il;חנות ספרים;חיפה\n"
               "שרה;לוי;s@x.il;מאפייה;אילת")),
    "arabic": (["cp1256"],
              ("محمد;العلي;m@x.sa;مكتبة النور;الرياض\n"
               "فاطمة;حسن;f@x.sa;مخبز;جدة")),
    "thai": (["cp874"],
              ("สมชาย;ใจดี;s@x.th;ร้านหนังสือ;เชียงใหม่\n"
               "สมหญิง;รักดี;y@x.th;ร้านขนมปัง;ขอนแก่น")),
    "japanese": (["cp932", "euc_jp", "iso2022_jp"],
              ("太郎;山田;t@x.jp;株式会社サンプル;東京都\n"
               "花子;鈴木;h@x.jp;書店;大阪府")),
    "chinese": (["gbk", "gb18030"],
              ("小明;王;w@x.cn;北京公司;北京\n"
               "丽;李;l@x.cn;上海贸易;上海")),
    "taiwanese": (["big5"],
              ("小明;陳;c@x.tw;台北書店;台北市\n"
               "美玲;林;l@x.tw;麵包店;高雄市")),
    "korean": (["cp949"],
              ("민준;김;k@x.kr;서점;서울\n"
               "서연;이;l@x.kr;빵집;부산")),
}  # fmt: skip
HEAD = "First Name;Last Name;Email;Company;City\n"
WESTERN = [
    "Jürgen;Müller;j@x.com;Größe GmbH;Köln",
    "Jörg;Weiß;w@x.com;Bäckerei;Lübeck",
    "Hélène;Lefèvre;h@x.com;Pâtisserie François;Besançon",
    "Zoë;Noël;z@x.com;Café;Liège",
    "José;Núñez;n@x.com;Compañía;Málaga",
    "João;Conceição;c@x.com;Padaria;São Paulo",
    "Søren;Kjær;s@x.com;Bageri;Ålborg",
    "Åsa;Sjöström;a@x.com;Möbler;Malmö",
    "Niccolò;Segrè;g@x.com;Città;Forlì",
    "Päivi;Hämäläinen;p@x.com;Leipomo;Jyväskylä",
    "Anaïs;Brown;a@x.com;D’Arcy – “Best” Ltd;Bath",
]


def read(path: Path, content: bytes, encoding: str | None = None) -> tuple[list[list[str | None]], str | None]:
    path.write_bytes(content)
    with open_workbook(path, path.name, encoding) as book:
        rows = [cells for block in book.blocks(book.sheets[0].name) for _, cells in block.rows()]
        assert (f"read as {book.encoding}" in book.assumptions) == bool(book.encoding)
        return rows, book.encoding


def refusal(path: Path, content: bytes, encoding: str | None = None) -> str:
    with pytest.raises(WorkbookError) as refused:
        read(path, content, encoding)
    return str(refused.value)


def cells_of(text: str) -> list[list[str]]:
    return [line.split(";") for line in text.strip("\n").split("\n")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


@pytest.mark.parametrize(
    ("language", "encoding"), [(language, encoding) for language, (usual, _) in LISTS.items() for encoding in usual]
)
@pytest.mark.parametrize("countries", [True, False], ids=["countries", "no countries"])
def test_a_list_of_two_people_is_read_right_or_refused(
    file: Path, language: str, encoding: str, countries: bool
) -> None:
    text = HEAD + LISTS[language][1] + "\n"
    if not countries:
        text = text.replace("@x.", "@mail-")
    refused = ""
    try:
        rows, _ = read(file, text.encode(encoding))
    except WorkbookError as error:
        refused = str(error)
    assert not (countries and refused)
    assert "CSV UTF-8" in refused if refused else rows == cells_of(text)


@pytest.mark.parametrize("row", WESTERN)
def test_a_western_list_needs_no_word_from_anybody(file: Path, row: str) -> None:
    assert read(file, (HEAD + row + "\n").encode("cp1252")) == (cells_of(HEAD + row), "Windows-1252")


def test_western_languages_may_be_mixed_in_one_list(file: Path) -> None:
    text = HEAD + "\n".join(WESTERN * 20) + "\n"
    assert read(file, text.encode("cp1252")) == (cells_of(text), "Windows-1252")
    assert read(file, text.replace("’", "'").replace("–", "-").encode("mac-roman", "replace"))[1] == "Mac Roman"


def test_a_character_far_below_decides_the_encoding(file: Path) -> None:
    rows, encoding = read(file, b"a,b\n" + b"1,2\n" * 400_000 + b"caf\xe9,3\n")
    assert (rows[-1], len(rows), encoding) == (["café", "3"], 400_002, "Windows-1252")


def test_headings_show_the_language(file: Path) -> None:
    text = "Jméno;Příjmení;Město\nHana;Nová;Břeclav\n"
    assert read(file, text.encode("cp1250")) == (cells_of(text), "Windows-1250")
    text = "Имя;Фамилия\nЯн;Ли\n"
    assert read(file, text.encode("cp1251"))[0] == cells_of(text)


def test_the_encoding_that_the_user_says_is_used(file: Path) -> None:
    text = HEAD + "Ann;Kovač;a@x.org;Acme;Čab\n"
    for encoding in ("cp1250", "Windows-1250", "iso-8859-2", "utf-16"):
        assert read(file, text.encode(encoding), encoding) == (cells_of(text), None)
    assert "'klingon'" in refusal(file, b"a,b\n", "klingon")
    assert "'hex'" in refusal(file, b"a,b\n", "hex")
    assert refusal(file, b"a,b\n1,2\ncaf\xe9,1\n", "utf-8").startswith("list.csv is not text in utf-8: line 3 cannot")


# --- words that read differently in encodings that most of the list fits

GERMAN = [
    f"{first};{last};x@firma.de;{company};{city}"
    for first, last in [("Jürgen", "Müller"), ("Jörg", "Weiß"), ("Bärbel", "Schäfer"), ("Anna", "Krüger")]
    for company, city in [("Größe GmbH", "Köln"), ("Bäckerei", "Lübeck"), ("Acme", "Bonn"), ("Möbel", "Nürnberg")]
]
NEIGHBOURS = [
    ("czech", "cp1250"),
    ("polish", "cp1250"),
    ("hungarian", "cp1250"),
    ("croatian", "cp1250"),
    ("slovene", "cp1250"),
    ("turkish", "cp1254"),
    ("lithuanian", "cp1257"),
    ("russian", "cp1251"),
]


@pytest.mark.parametrize(("language", "encoding"), NEIGHBOURS)
@pytest.mark.parametrize("head", [HEAD, "Vorname;Nachname;E-Mail;Firma;Straße\n"], ids=["English", "German"])
def test_a_few_neighbours_in_a_german_list_are_read_right(file: Path, language: str, encoding: str, head: str) -> None:
    text = head + "\n".join([*GERMAN, *LISTS[language][1].replace("@x.", "@mail-").split("\n"), *GERMAN]) + "\n"
    text = text.encode(encoding, "replace").decode(encoding)  # the Russian encoding has no letters of Germany
    assert read(file, text.encode(encoding))[0] == cells_of(text)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Kováč", "cp1250"),
        ("Nowaczyński", "cp1250"),
        ("Zając", "cp1250"),
        ("Petőfi", "cp1250"),
        ("Petrović", "iso8859-2"),
        ("Niţă", "cp1250"),
        ("Fırat", "cp1254"),
        ("Živilė", "cp1257"),
        ("Spieß", "cp850"),
        ("Elisæus", "cp437"),
        ("Östberg", "mac-roman"),
        ("Šimůnek", "cp852"),
    ],
)
def test_one_name_that_reads_differently_is_read_right_or_refused(file: Path, name: str, encoding: str) -> None:
    german = GERMAN if encoding in {"cp1250", "iso8859-2", "cp1254", "cp1257"} else ["Ann;Bell;a@x.com;Acme;Bath"] * 20
    for place in (0, len(german)):
        text = HEAD + "\n".join([*german[:place], f"Jan;{name};j@x.com;Acme;Bonn", *german[place:]]) + "\n"
        refused = ""
        try:
            rows, _ = read(file, text.encode(encoding))
        except WorkbookError as error:
            refused = str(error)
        assert "encoding=" in refused if refused else rows == cells_of(text)


@pytest.mark.parametrize("name", ["D’Arienzo", "Dell’Anno", "Muñoz", "Sørensen", "Hélène", "João", "Forlì", "Ångström"])
def test_one_western_name_in_an_english_list_needs_no_word(file: Path, name: str) -> None:
    text = HEAD + "Ann;Bell;a@x.com;Acme;Bath\n" * 20 + f"Jan;{name};j@x.com;Acme;Bonn\n"
    assert read(file, text.encode("cp1252")) == (cells_of(text), "Windows-1252")


@pytest.mark.parametrize(
    "rows",
    [
        "Ana;Gómez;a@x.es;Calle Mayor 3, 2º B;Madrid\nLuis;Ray;l@x.es;Av. Sol Nº 7;Lugo",
        "Ana;Lee;a@x.pt;Rua 5, 1º andar;Lisboa\nRui;Ray;r@x.pt;Rua 7, 2ª;Faro",
        "Zoë;Lee;z@x.uk;owes £50;Leeds\nTom;Ray;t@x.uk;£ 7;York",
        "Jörg;Lee;j@x.de;40 m², § 7;Ulm\nUwe;Ray;u@x.de;2½ Tage;Jena",
    ],
)
def test_signs_where_people_write_them_are_no_letters_of_another_alphabet(file: Path, rows: str) -> None:
    text = HEAD + rows + "\n"
    assert read(file, text.encode("cp1252"))[0] == cells_of(text)


def test_names_far_below_decide_how_they_are_read(file: Path) -> None:
    german = "".join(f"Jürgen{chr(97 + n % 26)}{chr(97 + n // 26 % 26)};Größe;x\n" for n in range(20_000))
    text = f"A;B;C\n{german}Jiří;Dvořák;x\nZdeněk;Růžička;x\n"
    assert read(file, text.encode("cp1250")) == (cells_of(text), "Windows-1250")


def test_lists_of_two_encodings_that_were_put_together_are_refused(file: Path) -> None:
    danish = "Søren;Kjær;Ålborg\nJørgen;Nørgaard;Ærø\nKåre;Østergård;København\nMøller;Græsted;Brønshøj\n"
    polish = "Paweł;Wiśniewski;Poznań\nMałgorzata;Dąbrowska;Gdańsk\nJóźwiak;Księgarnia;Łódź\nBłażej;Zając;Częstochowa\n"
    for first, second in ((danish.encode("cp1252"), polish.encode("cp1250")), (polish.encode("cp1250"), b"")):
        content = b"A;B;C\n" + first + second
        if second:
            assert "Windows-1252" in refusal(file, content)
        else:
            assert read(file, content)[0] == cells_of("A;B;C\n" + polish)


# --- what is refused

SECRETS = ("Jürgen", "Müller", "rgen", "Nov", "jm@x")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEAD.encode() + "J\ufffdrgen;M\ufffdller;jm@x.de\n".encode(), "lost 2 letters"),
        (HEAD.encode() + "JÃ¼rgen;MÃ¼ller;jm@x.de\n".encode(), "decoded as Windows-1252"),
        ("José;Núñez\n".encode() + "Jürgen;Müller\nZoë;Strauß\n".encode("cp1252"), "mixes UTF-8 with another"),
        ("Zoë, Ünal, Ñandú, café".encode() + b" caf\xe9\n", "1 broken characters"),
        (b"a,b\n\xfeA\xffB\xa4c\xb6D\xa7e,1\n", "is text in an unknown encoding"),
        (bytes(range(256)) * 40, "is neither"),
    ],
)
def test_lost_mixed_and_broken_letters_are_refused(file: Path, content: bytes, says: str) -> None:
    message = refusal(file, content)
    assert message.startswith("list.csv ")
    assert says in message
    assert not any(secret in message for secret in SECRETS)


def test_one_line_of_another_encoding_in_a_long_list_is_found(file: Path) -> None:
    lines = [f"Jürgen;Größe{chr(97 + n % 26)}{chr(97 + n // 26 % 26)};x\n".encode("cp1252") for n in range(2_000)]
    lines[1_500] = "José;Núñez;x\n".encode()
    assert refusal(file, HEAD.encode() + b"".join(lines)).startswith("list.csv mixes UTF-8")


def test_a_few_garbled_words_are_left_for_the_rules_of_the_cells(file: Path) -> None:
    text = HEAD + "Jürgen;Groß;j@x.com;Café;Köln\n" * 20 + "Anna;MÃ¼ller;a@x.com;Acme;Bonn\n"
    assert read(file, text.encode())[0][-1][1] == "MÃ¼ller"
    assert "decoded as Windows-1252" in refusal(file, (HEAD + "Jürgen;Groß;j@x.com;Café;Köln\n").encode(), "cp1252")


def test_undecided_encodings_are_named_and_no_ones_data_is_shown(file: Path) -> None:
    message = refusal(file, "Name;x\nAndré;y\n".encode("cp850"))
    assert message.startswith("list.csv is text in DOS 850 or Windows-1252;")
    assert "André" not in message
    assert "--encoding cp850" in message
    assert read(file, "Name;x\nAndré;y\n".encode("cp850"), "cp850")[0][1] == ["André", "y"]

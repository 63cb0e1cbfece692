"""The languages of lists of contacts: their encodings, letters, countries and headings. Data only: one line each.

They correct the result of a statistical detector for short texts.
"""

from typing import NamedTuple


class Language(NamedTuple):
    """One language, or several that share an alphabet."""

    codecs: tuple[str, ...]  # Python's names of the 8-bit and multi-byte encodings, the usual one first
    letters: str  # beyond ASCII, lower case; "": a script of its own, which the detector recognises
    countries: str  # top-level domains, blank between them
    headings: str  # words of headings, lower case, without accents, blank between them


_ACCENTS = "äöüßéèêëàâáãåæçíìîïñóòôõøœúùûÿ"
_WEST = ("cp1252", "iso8859-15", "mac-roman", "cp850", "cp437")
_CENTRAL = ("cp1250", "iso8859-2", "cp852", "mac-latin2")
_BALTIC = ("cp1257", "iso8859-13")
_CYRILLIC = ("cp1251", "koi8-u", "iso8859-5", "cp866", "mac-cyrillic")

LANGUAGES = (
    # --- Western Europe: lists mix these languages, so their letters count together
    Language(_WEST, _ACCENTS, "de at ch li lu",
             "vorname nachname firma ort strasse straße plz land telefon anrede"),
    Language(_WEST, _ACCENTS, "fr be mc", "prenom nom societe entreprise ville adresse pays telephone fonction"),
    Language(_WEST, _ACCENTS, "es mx ar co cl pe",
             "nombre apellido apellidos empresa ciudad direccion pais telefono correo"),
    Language(_WEST, _ACCENTS, "pt br", "nome sobrenome apelido empresa cidade morada endereco telefone"),
    Language(_WEST, _ACCENTS, "it sm", "nome cognome azienda societa citta indirizzo telefono"),
    Language(_WEST, _ACCENTS, "nl ie uk", "voornaam achternaam bedrijf plaats straat telefoon"),
    Language(_WEST, _ACCENTS, "dk no se",
             "fornavn efternavn etternavn firma by adresse fornamn efternamn foretag telefonnummer"),
    Language(_WEST, "äöåüé", "fi", "etunimi sukunimi yritys kaupunki osoite puhelin"),
    Language(_WEST, "áðéíóúýþæö", "is", "fornafn eftirnafn fyrirtaeki simi"),
    # --- Central Europe
    Language(_CENTRAL, "ąćęłńóśźż", "pl", "imie nazwisko firma miasto ulica telefon adres"),
    Language(_CENTRAL, "áčďéěíňóřšťúůýž", "cz", "jmeno prijmeni firma mesto ulice telefon spolecnost"),
    Language(_CENTRAL, "áäčďéíĺľňóôŕšťúýž", "sk", "meno priezvisko firma mesto ulica spolocnost"),
    Language(_CENTRAL, "áéíóöőúüű", "hu", "nev keresztnev vezeteknev utonev cegnev ceg varos utca telefon"),
    Language(_CENTRAL, "čćđšž", "hr ba rs me", "ime prezime tvrtka grad ulica telefon poduzece"),
    Language(_CENTRAL, "čšž", "si", "ime priimek podjetje kraj ulica drzava telefon naslov e-posta"),
    Language(_CENTRAL, "ăâîșțşţ", "ro md", "nume prenume companie firma oras strada telefon"),
    # --- the Baltic, Turkey, Vietnam
    Language(_BALTIC, "ąčęėįšųūž", "lt", "vardas pavarde imone miestas gatve telefonas"),
    Language(_BALTIC, "āčēģīķļņšūž", "lv", "vards uzvards uznemums pilseta talrunis"),
    Language(_BALTIC, "äöüõšž", "ee", "eesnimi perenimi perekonnanimi ettevote linn telefon"),
    Language(("cp1254", "iso8859-9"), "çğıöşüâîû", "tr", "ad soyad adi soyadi sirket sehir telefon firma adres"),
    # --- scripts of their own
    Language(_CYRILLIC, "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў", "ru ua by bg kz",
             "имя фамилия отчество компания организация телефон город адрес почта прізвище "
             "ім'я місто компанія фирма име град"),
    Language(_CYRILLIC, "абвгдђежзијклљмнњопрстћуфхцчџшѓќѕ", "rs mk me", "презиме фирма град"),
    Language(("cp1253", "iso8859-7"), "", "gr cy", "ονομα επωνυμο εταιρεια τηλεφωνο πολη διευθυνση"),
    Language(("cp1255", "iso8859-8"), "", "il", "שם משפחה פרטי חברה טלפון עיר כתובת"),
    Language(("cp1256", "iso8859-6"), "", "sa eg ae jo lb ma iq ir",
             "الاسم الاول الاخير العائلة الشركة الهاتف المدينة"),
    Language(("cp874",), "", "th", "ชื่อ นามสกุล บริษัท โทรศัพท์"),
    Language(("cp932", "euc_jp"), "", "jp", "姓 名 会社 会社名 氏名 電話 電話番号 住所 名前 部署"),
    Language(("gb18030",), "", "cn", "姓 名 姓名 公司 电话 手机 邮箱 城市 地址 单位"),
    Language(("big5",), "", "tw hk", "姓 名 姓名 公司 電話 手機 城市 地址 單位"),
    Language(("cp949",), "", "kr", "성 이름 성명 회사 회사명 전화 전화번호 이메일 주소 도시"),
)  # fmt: skip

LABELS = {
    "cp1252": "Windows-1252", "iso8859-15": "ISO-8859-15",
    "mac-roman": "Mac Roman", "cp850": "DOS 850", "cp437": "DOS 437",
    "cp1250": "Windows-1250", "iso8859-2": "ISO-8859-2", "cp852": "DOS 852", "mac-latin2": "Mac Central European",
    "cp1251": "Windows-1251", "koi8-u": "KOI8",
    "iso8859-5": "ISO-8859-5", "cp866": "DOS 866", "mac-cyrillic": "Mac Cyrillic",
    "cp1253": "Windows-1253", "iso8859-7": "ISO-8859-7", "cp1254": "Windows-1254", "iso8859-9": "ISO-8859-9",
    "cp1255": "Windows-1255", "iso8859-8": "ISO-8859-8", "cp1256": "Windows-1256", "iso8859-6": "ISO-8859-6",
    "cp1257": "Windows-1257", "iso8859-13": "ISO-8859-13", "cp874": "Windows-874",
    "cp932": "Shift-JIS", "euc_jp": "EUC-JP", "gb18030": "GB18030", "big5": "Big5", "cp949": "EUC-KR",
    "iso2022_jp": "ISO-2022-JP",
}  # fmt: skip  # codec -> its common name

_HAN_OF_JAPAN = (
    "田山藤本村井上中川木林野原小高松佐加吉石森池橋島前岡長谷部子美太郎一二三介恵香織男夫雄奈々花株式会社有限東京都市区町県"
    "電話姓名氏住所内大阪北南西渡辺伊斎清水青近坂遠横宮今後竹福金菊裕直陽里真由樹和明健翔修洋学千葉神埼玉愛知広台"
)
FREQUENT = {
    "cp932": _HAN_OF_JAPAN,
    "euc_jp": _HAN_OF_JAPAN,
    "gb18030":
        "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
        "余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
        "公司有限科技信息网络传媒市省县北京上海广州深圳天津重庆姓名电话邮箱地址单位手机明小伟芳娜秀英敏静丽强"
        "磊军洋勇艳杰娟涛超平刚桂玉兰建红春梅",
    "big5":
        "陳張黃李林王吳劉蔡楊許鄭謝郭洪曾邱廖賴周葉蘇莊江呂何羅高蕭潘簡朱鍾彭游詹胡施沈余趙盧梁顏柯孫魏翁戴范"
        "宋方鄧杜傅侯曹薛溫丁馬蔣唐公司股份有限台北新市縣姓名電話手機地址單位科技資訊明小雅婷志家豪怡君淑芬美"
        "玲俊傑建宏文",
    "cp949":
        "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민준지영수현미은연진호경"
        "희식회사시군도동대표부서울산인천광원기용석재철종상숙자순옥혜예아도윤건우빈름명전화메일",
}  # fmt: skip  # codec -> the most frequent characters in lists of names

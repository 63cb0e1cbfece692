"""The errors that Excel and LibreOffice show in a cell instead of a value, in their languages.

In a .csv, or pasted as values, such an error is an ordinary text, but never the data that was meant.
"""

import re

_BY_LANGUAGE = {
    "every language": "#NULL! #DIV/0! #VALUE! #REF! #NAME? #NUM! #N/A #GETTING_DATA #SPILL! #CALC! #FIELD! #BLOCKED! "
    "#CONNECT! #UNKNOWN! #BUSY! #PYTHON! #EXTERNAL! #TIMEOUT! #MACRO? #ERROR!",
    "German": "#WERT! #BEZUG! #ZAHL! #NV #ÜBERLAUF! #KALK! #FELD!",
    "French": "#NUL! #VALEUR! #NOM? #NOMBRE! #PROPAGATION! #EPARS! #CALCUL! #CHAMP!",
    "Spanish": "#¡NULO! #¡DIV/0! #¡VALOR! #¡REF! #¿NOMBRE? #¡NUM! #N/D #¡DESBORDAMIENTO! #¡CALC!",
    "Portuguese": "#NULO! #VALOR! #NOME? #NÚM! #DESPEJAR! #EXCEDENTE!",
    "Italian": "#NULLO! #VALORE! #RIF! #NOME? #N/D #ESPANSIONE! #CALC!",
    "Dutch": "#LEEG! #DEEL/0! #WAARDE! #VERW! #NAAM? #GETAL! #N/B #OVERLOOP!",
    "Danish": "#VÆRDI! #REFERENCE! #NAVN? #NUMMER! #I/T #DIVISION/0! #OVERLØB!",
    "Norwegian": "#VERDI! #NAVN? #DEL/0! #OVERFYLT!",
    "Swedish": "#SKÄRNING! #DIVISION/0! #VÄRDEFEL! #REFERENS! #NAMN? #OGILTIGT! #SAKNAS! #SPILL!",
    "Finnish": "#TYHJÄ! #JAKO/0! #ARVO! #VIITTAUS! #NIMI? #LUKU! #PUUTTUU! #PUUTTUU #LEVITY!",
    "Polish": "#ZERO! #DZIEL/0! #ARG! #ADR! #NAZWA? #LICZBA! #N/D! #ROZLANIE!",
    "Czech": "#DĚLENÍ_NULOU! #DĚLENÍ NULOU! #HODNOTA! #ODKAZ! #NÁZEV? #ČÍSLO! "
    "#NENÍ_K_DISPOZICI #NENÍ K DISPOZICI #PŘESAH!",
    "Slovak": "#DELENIE_NULOU! #DELENIENULOU! #HODNOTA! #ODKAZ! #NÁZOV? #ČÍSLO! #NEDOSTUPNÝ",
    "Hungarian": "#NULLA! #ZÉRÓOSZTÓ! #ÉRTÉK! #HIV! #NÉV? #SZÁM! #HIÁNYZIK #KIBONTÁS!",
    "Slovene": "#NIČ! #DEL/0! #DELJ/0! #VREDN! #VREDNOST! #SKLIC! #IME? #ŠTEV! #N/V #PRELIVANJE!",
    "Croatian, Serbian": "#VRIJEDNOST! #VREDNOST! #NAZIV? #BROJ! #N/D",
    "Romanian": "#NUL! #IMPARTIRE/0! #VALOARE! #NUME? #DIV/0!",
    "Turkish": "#BOŞ! #SAYI/0! #DEĞER! #BAŞV! #AD? #SAYI! #YOK #TAŞMA!",
    "Greek": "#ΚΕΝΟ! #ΔΙΑΙΡ/0! #ΤΙΜΗ! #ΑΝΑΦ! #ΟΝΟΜΑ? #ΑΡΙΘ! #Δ/Υ",
    "Russian": "#ПУСТО! #ДЕЛ/0! #ЗНАЧ! #ССЫЛКА! #ИМЯ? #ЧИСЛО! #Н/Д #ПЕРЕНОС! #ВЫЧИСЛ!",
    "Ukrainian": "#ПОРОЖНЬО! #ДІЛ/0! #ЗНАЧ! #ПОСИЛ! #ІМ'Я? #ЧИСЛО! #Н/Д",
    "Bulgarian": "#СТОЙНОСТ! #РЕФ! #ИМЕ? #БРОЙ! #Н/Д #ДЕЛ/0!",
}
_TEXTS = frozenset("#" + text.strip() for texts in _BY_LANGUAGE.values() for text in texts.split("#") if text.strip())
_TOO_NARROW = re.compile(r"#{4,}")  # a number or date in a column that is too narrow to show it
_LIBREOFFICE = re.compile(r"Err:5\d\d")
# What Google Sheets shows, and exports, while it computes.
_COMPUTING = frozenset({"loading", "wird geladen", "chargement", "cargando", "caricamento", "carregando", "laden"})
_DOTS = ("...", "…")


def is_error(text: str) -> bool:
    """Whether a text, without blanks at its ends, is the error of a cell."""
    if text.endswith(_DOTS):
        return text.rstrip(".… ").casefold() in _COMPUTING
    if not text.startswith(("#", "Err:")):
        return False
    return text.upper() in _TEXTS or bool(_TOO_NARROW.fullmatch(text) or _LIBREOFFICE.fullmatch(text))

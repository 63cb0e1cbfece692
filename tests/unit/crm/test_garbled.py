"""Text in UTF-8 that a program decoded in another encoding: which texts are taken for such, and which are not."""

import pytest

from tasks.crm.rules.garbled import garbled_places, is_garbled

MEANT = [
    *("José Núñez", "Zürich", "Łódź", "Şule Çelik", "Ābols", "L'Haÿ"),
    *("Иванов Пётр", "Δημήτρης", "東京都", "“Ann” – Lee"),
]


@pytest.mark.parametrize("meant", MEANT)
def test_utf8_decoded_as_windows_1252_is_garbled(meant: str) -> None:
    wrong = "".join(
        bytes([byte]).decode("cp1252") if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else chr(byte)
        for byte in meant.encode()
    )
    assert is_garbled(wrong) is True
    assert garbled_places(wrong, "cp1252") >= 1
    assert is_garbled(meant) is False
    assert garbled_places(meant, "cp1252") == 0


@pytest.mark.parametrize(("meant", "codec"), [("Иван Петров", "cp1251"), ("Novák Jiří", "cp1250")])
def test_so_is_utf8_decoded_in_central_european_and_cyrillic(meant: str, codec: str) -> None:
    wrong = meant.encode().decode(codec, "replace")
    assert is_garbled(wrong) is True
    assert garbled_places(wrong, codec) >= 1


@pytest.mark.parametrize("text", ["", "Ann Lee", "São Paulo", "SÃO TOMÉ", "Ângela", "Ăn Độ", "Île-de-France", "РС"])
def test_letters_that_people_write_are_not_garbled(text: str) -> None:
    assert is_garbled(text) is False

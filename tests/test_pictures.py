"""The sequence pictures of the documentation are what their texts make."""

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
SOURCES = sorted(PICTURES.glob("*.txt"))
LEAST_PICTURES = 7

_spec = importlib.util.spec_from_file_location("sequences", PICTURES / "sequences.py")
assert _spec is not None
assert _spec.loader is not None
sequences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sequences)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_picture_is_what_its_text_makes(source: Path) -> None:
    drawn = source.with_suffix(".svg").read_text(encoding="utf-8")
    assert drawn == sequences.render(source.read_text(encoding="utf-8")), "run python docs/pictures/sequences.py"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_picture_is_well_formed_and_its_words_stay_inside(source: Path) -> None:
    drawing = ElementTree.fromstring(source.with_suffix(".svg").read_bytes())
    width, height = (float(drawing.attrib[name]) for name in ("width", "height"))
    words = drawing.findall("{http://www.w3.org/2000/svg}text")
    assert words
    for each in words:
        half = len(each.text or "") * sequences.LETTER / 2
        assert float(each.attrib["x"]) - half >= 0
        assert float(each.attrib["x"]) + half <= width
        assert 0 < float(each.attrib["y"]) < height


def test_every_picture_has_its_text_and_none_is_missing() -> None:
    assert len(SOURCES) >= LEAST_PICTURES
    assert [file.stem for file in sorted(PICTURES.glob("*.svg"))] == [source.stem for source in SOURCES]


def test_every_picture_of_a_document_exists_and_every_picture_is_shown() -> None:
    shown = {
        name
        for document in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"\]\(pictures/([^)]+)\)", document.read_text(encoding="utf-8"))
    }
    assert shown == {source.with_suffix(".svg").name for source in SOURCES}


def test_an_unknown_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="no step of a sequence: 'b stumbles'"):
        sequences.render("A title\nactors: a, b\nb stumbles")

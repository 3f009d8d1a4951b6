"""The tables of models in the documentation agree with the metafiles."""

import pytest
import tables


@pytest.mark.parametrize('page', tables.PAGES)
def test_page_is_up_to_date(page):
    name, write = tables.PAGES[page]
    text = (tables.ROOT / page).read_text('utf-8')
    new = tables.write_page(text, name, write(tables.load_systems()))
    assert new == text, f'{page} is outdated: run python tools/tables.py'


def test_numbers_as_papers_print_them():
    cells = [('usage', 1.0), ('usage', 0.097), ('psnr', 20.8), ('rfid_inception', 0.341)]
    assert [tables.number(*cell) for cell in cells] == ['100%', '9.7%', '20.80', '0.341']


def test_a_page_without_the_comments_is_an_error():
    with pytest.raises(ValueError, match='begin results'):
        tables.write_page('# Evaluate\n', 'results', '')

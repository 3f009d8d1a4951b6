"""The demo without a browser, and its page in a headless browser if there is one."""

import math
import re
import shutil
import sys
from pathlib import Path

import demo
import numpy as np
import pytest
import torch
from PIL import Image

from demo_lib.functions import GAIN, enlarge, fit, reconstruct, sample, token_map
from demo_lib.models import load_all
from demo_lib.page import classes
from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.checkpoint import write_checkpoint
from openmagvit2.errors import UserError

TINY = Path(__file__).parents[2] / 'configs' / 'tiny'


@pytest.fixture(scope='module')
def tokenizer():
    torch.manual_seed(0)
    return Tokenizer.from_config(TINY / 'lfq_32.py')


@pytest.fixture(scope='module')
def picture():
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


def test_reconstruction(tokenizer, picture):
    found = reconstruct(tokenizer, picture, side=512)
    a, b = (x.astype(float) for x in (found.original, found.reconstruction))
    assert np.array_equal(found.original, picture)
    assert np.array_equal(b, tokenizer.reconstruct(picture)[0])
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / ((a - b) ** 2).mean()))
    assert np.array_equal(found.difference, np.minimum(np.abs(a - b) * GAIN, 255))
    assert found.bits == 10 * 14 * 8 and found.tokens.shape == picture.shape
    assert found.text().startswith('56x40 pixels, PSNR ')
    assert '1,120 bits (0.500 a pixel)' in (found.text())


def test_large_pictures_shrink_and_small_ones_stay():
    large = Image.new('RGBA', (300, 90), (0, 0, 0, 0))
    assert fit(large, 100).shape == (30, 100, 3) and (fit(large, 100) == 255).all()
    assert fit(np.zeros((5, 7), np.uint8), 100).shape == (5, 7, 3)


def test_the_page_shows_small_pictures_enlarged(picture):
    shown = enlarge(picture)
    assert shown.shape == (160, 224, 3) and (shown[4:8, 8:12] == picture[1, 2]).all()
    assert np.array_equal(enlarge(shown), shown)


@pytest.mark.parametrize(
    ('tokens', 'digits', 'grid'),
    [
        (np.array([[1, 2], [2, 300]]), 1, (2, 2)),
        (np.array([[[1, 0], [0, 1]], [[0, 1], [7, 7]]]), 2, (2, 2)),
        (np.array([1, 2, 2, 300, 5]), 1, (2, 3)),
        (np.array([[1, 0], [0, 1], [0, 1], [7, 7]]), 2, (2, 2)),
    ],
)
def test_equal_tokens_have_equal_colors(tokens, digits, grid):
    cells = token_map(tokens, digits, grid).reshape(-1, 3)
    assert (cells[1] == cells[2]).all() and len(np.unique(cells[[0, 1, 3]], axis=0)) == 3


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """Weights of a tokenizer and of a generator that uses it."""
    folder = tmp_path_factory.mktemp('models')
    torch.manual_seed(1)
    for name in ('lfq_32', 'ar_32'):
        options = {'model.tokenizer.checkpoint': None} if name == 'ar_32' else None
        door = (Generator if options else Tokenizer).from_config(
            TINY / f'{name}.py', cfg_options=options
        )
        write_checkpoint(dict(state_dict=door.model.state_dict()), folder / f'{name}.pth')
    return folder


def test_models_and_samples(saved, tmp_path):
    given = [str(TINY / 'ar_32.py'), str(saved / 'ar_32.pth')]
    tokenizers, generators = load_all([], [given])
    assert list(tokenizers) == list(generators) == [f'{saved.name}/ar_32.pth']
    generator = generators[f'{saved.name}/ar_32.pth']
    grid = sample(generator, 3, 3, 5, guidance=2.0, temperature=1.0, top_k=0, top_p=1.0)
    images = generator.sample([3, 3, 3], seed=5, guidance=2.0, temperature=1.0)
    scale, side = 128 // 32, 32
    assert grid.shape == ((2 * side + 2) * scale, (2 * side + 2) * scale, 3)
    assert np.array_equal(grid[: side * scale : scale, : side * scale : scale], images[0])
    assert classes(generator)[-1] == ('any', -1) and len(classes(generator)) == 11
    with pytest.raises(ValueError, match='Choose 1 to 64 samples, not 65'):
        sample(generator, 3, 65, 5, 2.0, 1.0, 0, 1.0)
    with pytest.raises(ValueError, match='There is no result of the quickstart in .*; run python'):
        load_all([], [], quickstart=tmp_path)


@pytest.mark.parametrize('problem', [OSError('in use'), OverflowError('0-65535')])
def test_a_port_that_is_not_free(problem):
    class Page:
        def queue(self, **settings):
            return self

        def launch(self, server_port, **settings):
            raise problem

    with pytest.raises(UserError, match='--port 99999 is not free .*; choose another'):
        demo.serve(Page(), 99999, 10)


def test_settings_out_of_range(tool):
    assert tool('demo', '--max-upload', 0) == (
        2, '', 'error: --max-upload must be at least 1, got 0.\n'
    )  # fmt: skip


def chromium() -> str:
    """Return the path of a browser; skip the test if there is none."""
    names = ('chromium', 'chromium-browser', 'google-chrome', 'chromium-headless-shell')
    program = next(filter(None, map(shutil.which, names)), None)
    return program or pytest.skip('needs a browser: apt install chromium')


def upload(folder: Path) -> None:
    """Write an image, and a truncated copy of it."""
    pixels = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    Image.fromarray(pixels).save(folder / 'photograph.png')
    content = (folder / 'photograph.png').read_bytes()
    (folder / 'torn.png').write_bytes(content[: len(content) // 2])


@pytest.mark.slow
def test_page_in_a_browser(saved, tmp_path):
    """Upload an image, move a slider, check the results, and take two screenshots."""
    pytest.importorskip('gradio', reason='needs pip install "openmagvit2[demo]"')
    browsers = pytest.importorskip('playwright.sync_api', reason='needs pip install playwright')
    program = chromium()
    from demo_lib.page import build

    models = [
        [str(TINY / f'{name}.py'), str(saved / f'{name}.pth')] for name in ('lfq_32', 'ar_32')
    ]
    page = build(*load_all(models[:1], models[1:]), side=256)
    upload(tmp_path)
    _, address, _ = page.launch(
        server_name='127.0.0.1', prevent_thread_lock=True, quiet=True, show_error=True
    )
    try:
        with browsers.sync_playwright() as play:
            options = dict(executable_path=program, args=['--no-sandbox'])
            browser = play.chromium.launch(**options)
            tab = browser.new_page(viewport=dict(width=1280, height=900))
            tab.goto(address)
            tab.locator('input[type=file]').first.set_input_files(tmp_path / 'torn.png')
            tab.get_by_label('Remove Image').first.wait_for(timeout=30_000)
            tab.get_by_role('button', name='Reconstruct', exact=True).click()
            box = tab.locator('#result textarea, #result input').first
            torn = re.compile('torn.png cannot be read: image file is truncated')
            browsers.expect(box).to_have_value(torn, timeout=60_000)
            tab.goto(address)
            tab.locator('input[type=file]').first.set_input_files(tmp_path / 'photograph.png')
            tab.locator('img[src*="photograph"], img[alt]').first.wait_for(timeout=30_000)
            tab.get_by_role('button', name='Reconstruct', exact=True).click()
            box = tab.locator('#result textarea, #result input').first
            browsers.expect(box).to_have_value(
                re.compile('64x64 pixels, PSNR .* dB, 2,048 bits'), timeout=60_000
            )
            tab.screenshot(path=tmp_path / 'reconstruct.png')
            tab.get_by_role('tab', name='Sample').click()
            tab.get_by_label('number input for Samples').fill('4')
            tab.get_by_role('button', name='Sample', exact=True).click()
            tab.locator('#samples img').wait_for(timeout=60_000)
            tab.screenshot(path=tmp_path / 'sample.png')
            tab.get_by_label('Seed').fill('')
            tab.get_by_role('button', name='Sample', exact=True).click()
            tab.get_by_text('Seed is empty; enter a number.').wait_for(timeout=60_000)
            browser.close()
    finally:
        page.close()
    for name in ('reconstruct', 'sample'):
        assert np.array(Image.open(tmp_path / f'{name}.png').convert('L')).std() > 5
    print(f'screenshots: {tmp_path}', file=sys.stderr)

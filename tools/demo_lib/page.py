"""Build the demo's page."""

import numpy as np

from demo_lib.functions import MAX_SAMPLES, enlarge, reconstruct, sample
from openmagvit2.apis import Generator, Tokenizer
from openmagvit2.errors import UserError


def build(tokenizers: dict[str, Tokenizer], generators: dict[str, Generator], side: int):
    """Return gradio's page; pictures are shrunk to at most ``side`` pixels in width and height.

    Raises:
        UserError: gradio is not installed.
    """
    try:
        import gradio as gr
    except ImportError as error:
        raise UserError('The demo needs gradio: pip install "openmagvit2[demo]".') from error

    with gr.Blocks(title='openmagvit2', analytics_enabled=False) as page:
        gr.Markdown('# openmagvit2')
        with gr.Tab('Reconstruct'):
            _reconstruct_tab(gr, tokenizers, side)
        if len(tokenizers) > 1:
            with gr.Tab('Compare'):
                _compare_tab(gr, tokenizers, side)
        if generators:
            with gr.Tab('Sample'):
                _sample_tab(gr, generators)
    return page


def _upload(gr):
    # As a file, so that it is read as by every tool and a failure is one sentence.
    return gr.Image(
        label='Your picture', type='filepath', image_mode=None, sources=['upload', 'clipboard']
    )


def _given(image: str | None) -> str:
    if image is None:
        raise UserError('Upload a picture first.')
    return image


def _reconstruct_tab(gr, tokenizers: dict[str, Tokenizer], side: int) -> None:
    names = list(tokenizers)
    with gr.Row():
        picture = _upload(gr)
        with gr.Column():
            which = gr.Dropdown(names, value=names[0], label='Tokenizer')
            button = gr.Button('Reconstruct', variant='primary')
            text = gr.Textbox(label='Result', interactive=False, elem_id='result')
    with gr.Row():
        labels = ('Original', 'Reconstruction', 'Difference, x4', 'Tokens')
        shown = [gr.Image(label=label, interactive=False) for label in labels]

    def run(name: str, image: str | None) -> tuple:
        try:
            found = reconstruct(tokenizers[name], _given(image), side)
        except UserError as error:
            return (*[None] * len(shown), str(error))
        pictures = (found.original, found.reconstruction, found.difference, found.tokens)
        return (*map(enlarge, pictures), found.text())

    button.click(run, [which, picture], [*shown, text], api_name='reconstruct')


def _compare_tab(gr, tokenizers: dict[str, Tokenizer], side: int) -> None:
    names = list(tokenizers)
    picture = _upload(gr)
    button = gr.Button('Compare', variant='primary')
    whiches, pictures, texts = [], [], []
    with gr.Row():
        for i in range(2):
            with gr.Column():
                whiches.append(gr.Dropdown(names, value=names[i], label=f'Tokenizer {"AB"[i]}'))
                pictures.append(gr.Image(label='Reconstruction', interactive=False))
                pictures.append(gr.Image(label='Difference, x4', interactive=False))
                texts.append(gr.Textbox(label='Result', interactive=False))

    def run(first: str, second: str, image: str | None) -> tuple:
        names = (first, second)
        try:
            both = [reconstruct(tokenizers[name], _given(image), side) for name in names]
        except UserError as error:
            return (*[None] * len(pictures), str(error), str(error))
        shown = [x for found in both for x in (found.reconstruction, found.difference)]
        return (*map(enlarge, shown), *(found.text() for found in both))

    button.click(run, [*whiches, picture], [*pictures, *texts], api_name='compare')


def _sample_tab(gr, generators: dict[str, Generator]) -> None:
    names = list(generators)
    with gr.Row():
        with gr.Column():
            which = gr.Dropdown(names, value=names[0], label='Generator')
            label = gr.Dropdown(classes(generators[names[0]]), value=0, label='Class')
            number = gr.Slider(1, MAX_SAMPLES, 16, step=1, label='Samples')
            seed = gr.Number(0, label='Seed', precision=0)
            guidance = gr.Slider(0, 10, 2, step=0.1, label='Guidance')
            temperature = gr.Slider(0, 2, 1, step=0.05, label='Temperature')
            top_k = gr.Slider(0, 1000, 0, step=1, label='Top k; 0: all')
            top_p = gr.Slider(0, 1, 1, step=0.01, label='Top p; 1: all')
            button = gr.Button('Sample', variant='primary')
        shown = gr.Image(label='Samples', interactive=False, elem_id='samples')

    def run(name: str, *settings) -> np.ndarray:
        try:
            for field, value in zip(fields, settings, strict=True):
                if value is None:
                    raise UserError(f'{field.label} is empty; enter a number.')
            return sample(generators[name], *settings)
        except UserError as error:
            # The page shows the message; the console need not repeat it.
            raise gr.Error(str(error), print_exception=False) from error

    which.change(
        lambda name: gr.Dropdown(classes(generators[name]), value=0), which, label, api_name=False
    )
    fields = [label, number, seed, guidance, temperature, top_k, top_p]
    button.click(run, [which, *fields], shown, api_name='sample')


def classes(generator: Generator) -> list[tuple[str, int]]:
    """Return the entries of the list of classes, each with its label."""
    count = generator.model.num_classes or 0
    names = generator.class_names or [str(i) for i in range(count)]
    return [(f'{i} {name}' if name != str(i) else name, i) for i, name in enumerate(names)] + [
        ('any', -1)
    ]

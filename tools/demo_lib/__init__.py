"""The parts of ``tools/demo.py``: models, computations and the page.

``models.py`` finds and loads the models, ``functions.py`` computes without a browser, and
``page.py`` shows the results in gradio.
"""

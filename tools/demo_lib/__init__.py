"""What ``tools/demo.py`` is made of: the models, what it does with them, and the page.

``models.py`` finds and loads them, ``functions.py`` computes without a browser, ``page.py`` is
gradio's page over these.
"""

"""For the site: turn roles of Sphinx in docstrings, like :class:`~a.b.C`, into code, like `C`."""

import re
from typing import Any

import griffe

ROLE = re.compile(r':(?:class|func|meth|mod|attr|data):`(?:[^`<]*<)?(~)?([^`>]+)>?`')


class Roles(griffe.Extension):
    """Extension for mkdocstrings, named in mkdocs.yml: Markdown does not know roles."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Replace the roles in the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(_code, obj.docstring.value)


def _code(match: re.Match) -> str:
    return f'`{match[2].rpartition(".")[2] if match[1] else match[2]}`'

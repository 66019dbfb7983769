"""The shippers' templates (Go's `text/template` with Sprig's functions), from the files in `templates/`.

The files have line breaks, indentation and comments for readers. A template is printed into a label or a line as it is,
so all three are removed: nothing but text and actions is left, on one line. `@name` or `@{name}` is filled in.
"""

from pathlib import Path
from string import Template

_FOLDER = Path(__file__).with_name("templates")
_COMMENT = "{{/*"


class _Filled(Template):
    delimiter = "@"  # Go's variables begin with a dollar


def go_template(name: str, **parts: str) -> str:
    """The template of the file `name` on one line, with `parts` filled in. A break inside an action is not possible.

    Raises:
        KeyError: a part is missing.
    """
    lines = (_FOLDER / f"{name}.tmpl").read_text(encoding="utf-8").splitlines()
    text = "".join(line.strip() for line in lines if not line.strip().startswith(_COMMENT))
    return _Filled(text).substitute(parts)

"""What a text at the doors must look like, as a regular expression over the whole of it."""


def whole(pattern: str) -> str:
    """The pattern of a whole text, for msgspec and for OpenAPI alike.

    In Python a bare `$` also matches before a line break at the end, in ECMA 262 (which JSON Schema speaks) it does
    not; with the lookahead both refuse the line break.
    """
    return f"^(?:{pattern})$(?!\\n)"

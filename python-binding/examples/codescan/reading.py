"""From a path to the text of a program, or to a clear reason why not."""

from __future__ import annotations

import ast
import io
import os
import stat
import tokenize

LARGEST = 16 * 1024 * 1024


class Unusable(Exception):
    """This file cannot be scanned: a kind that the report counts, and a detail."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


def read_text(path: str) -> str:
    """The text of a file, decoded as Python would, with plain newlines."""
    return decode(read_bytes(path))


def read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unusable("not a regular file", stat.filemode(status.st_mode))
            if status.st_size > LARGEST:
                raise Unusable("too large", f"{status.st_size:,} bytes")
            return file.read()
    except (OSError, ValueError) as error:
        raise Unusable("cannot be read", _reason(error)) from None


def _open_at_once(path: str, flags: int) -> int:
    # A FIFO named ``x.py`` would block an ordinary open for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(data: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, LookupError, ValueError) as error:
        # A coding line may name a codec that is none for text, or that does
        # not exist; all of these mean that nobody can read the file.
        raise Unusable("cannot be decoded", _one_line(error)) from None
    if "\0" in text:
        raise Unusable("null bytes", f"first one at character {text.index(chr(0)):,}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str) -> ast.Module:
    """The syntax tree of ``text``.

    Warnings about the text (invalid escapes, say) are the business of the
    program: ``warnings.catch_warnings`` would change a list that all threads
    share, so it has no place in here.
    """
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Unusable("syntax error", f"line {error.lineno}: {error.msg}") from None
    except (RecursionError, MemoryError):
        # The parser says so of expressions that are nested too deeply.
        raise Unusable("too deeply nested", "the parser gave up") from None
    except (ValueError, OverflowError, SystemError) as error:
        raise Unusable("refused by the parser", _one_line(error)) from None


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or _one_line(error)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("utf-8", "backslashreplace").decode()

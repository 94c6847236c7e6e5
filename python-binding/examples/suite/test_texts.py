"""Tests for the example `testrunner.py`: texts, with tests that are skipped or expected to fail."""

import os
import textwrap
import unittest

TEXT = "Behaviours run when they hold all of their cowns. " * 40


class Wrapping(unittest.TestCase):
    def test_lines_are_short(self) -> None:
        for width in range(12, 120):
            self.assertLessEqual(max(map(len, textwrap.wrap(TEXT, width))), width)

    def test_no_word_is_lost(self) -> None:
        for width in range(12, 120):
            self.assertEqual(" ".join(textwrap.wrap(TEXT, width)).split(), TEXT.split())

    @unittest.expectedFailure
    def test_a_word_that_is_too_long_is_kept(self) -> None:
        self.assertEqual(textwrap.wrap("behaviour-oriented", 4), ["behaviour-oriented"])


class Paths(unittest.TestCase):
    def test_parts(self) -> None:
        self.assertEqual(os.path.split("a/b/c.py"), ("a/b", "c.py"))

    @unittest.skipUnless(os.name == "nt", "for Windows")
    def test_drives(self) -> None:
        self.assertEqual(os.path.splitdrive("C:\\boc"), ("C:", "\\boc"))

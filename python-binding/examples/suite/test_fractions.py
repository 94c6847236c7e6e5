"""Tests for the example `testrunner.py`: arithmetic of the standard library."""

import unittest
from fractions import Fraction
from itertools import product


class Arithmetic(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        numbers = range(-6, 7)
        cls.all = [Fraction(a, b) for a, b in product(numbers, numbers) if b]

    def test_sums_commute(self) -> None:
        for a, b in product(self.all, self.all):
            self.assertEqual(a + b, b + a)

    def test_products_distribute(self) -> None:
        for a, b in product(self.all, self.all):
            with self.subTest(a=a, b=b):
                self.assertEqual(a * (b + 1), a * b + a)

    def test_order_is_that_of_floats(self) -> None:
        for a, b in product(self.all, self.all):
            self.assertEqual(a < b, float(a) < float(b))


class Parsing(unittest.TestCase):
    def test_texts(self) -> None:
        for text, value in (("3/4", 0.75), (" -1.5 ", -1.5), ("1e3", 1000)):
            self.assertEqual(Fraction(text), value)

    def test_nonsense(self) -> None:
        for text in "", "1/", "one", "1/2/3":
            with self.assertRaises(ValueError):
                Fraction(text)

    def test_division_by_zero(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            Fraction(1, 0)

"""The warning of a program that runs with ``debug``."""


class AliasWarning(RuntimeWarning):
    """What a cown holds can be reached without it, while the program runs with ``debug``."""


AliasWarning.__module__ = "boc"

from setuptools import Extension, setup

import boc

setup(
    ext_modules=[
        Extension("histogram", ["histogram.c"], include_dirs=[boc.get_include()]),
    ]
)

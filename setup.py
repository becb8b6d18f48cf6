"""Build the optional compiled core when its sources are there; everything else is said in pyproject.toml.

The core only saves time: without a compiler, or when it does not compile, the installation goes on without it and the
pure Python code does the same work.
"""

from pathlib import Path

from setuptools import Extension, setup

sources = sorted(str(path) for path in Path("src/hawse/_core").glob("*.c"))
headers = sorted(str(path) for path in Path("src/hawse/_core").glob("*.h"))

setup(
    ext_modules=[Extension("hawse._core", sources, depends=headers, optional=True, extra_compile_args=["-O2"])]
    if sources
    else []
)

"""Build the optional compiled core when its sources are there; everything else is said in pyproject.toml.

The core only saves time: without a compiler, or when it does not compile, the installation goes on without it and the
pure Python code does the same work. It uses CPython's limited API: one build serves every Python from 3.11 on.
"""

from pathlib import Path

from setuptools import Extension, setup

sources = sorted(str(path) for path in Path("src/hawse/_core").glob("*.c"))
headers = sorted(str(path) for path in Path("src/hawse/_core").glob("*.h"))
core = Extension(
    "hawse._core", sources, depends=headers, optional=True, py_limited_api=True, libraries=["m"],
    extra_compile_args=["-std=c11", "-O2"],
)  # fmt: skip

setup(
    ext_modules=[core] if sources else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if sources else {},
)

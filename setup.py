"""What pyproject.toml can't say: the compiled module, and the wheel's tag."""

import platform
import sys
import sysconfig

from setuptools import setup

# One wheel for every CPython from 3.9 on. PyPy has no stable ABI, nor have free-threaded and debug builds.
stable_abi = (
    platform.python_implementation() == "CPython"
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
    and not hasattr(sys, "gettotalrefcount")
)

setup(
    cffi_modules=["build_ffi.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp39"}} if stable_abi else {},
)

"""The errors of the contract.

An `Err` that an exported function raises becomes the error of its WIT result;
any other exception traps the instance.
"""

from componentize_py_types import Err
from wit_world.imports.types import Error_Internal, Error_InvalidArgument


def invalid(message: str) -> Err:
    """An argument is wrong and nothing was changed."""
    return Err(Error_InvalidArgument(message))


def internal(message: str) -> Err:
    """A fault of the provider itself."""
    return Err(Error_Internal(message))

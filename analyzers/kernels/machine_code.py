"""The kernels' machine code, loaded and called without numba: importing numba takes longer than a replay."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm

from tracekit.analyzers.kernels.word_table import word_table

SYMBOL = "tracekit_{}"


class MachineCode(NamedTuple):
    """One object file in memory; `engine` owns the memory that it lies in."""

    header: dict[str, Any]
    engine: llvm.ExecutionEngine

    @classmethod
    def of(cls, header: dict[str, Any], code: bytes) -> MachineCode:
        """Load the code.

        Raises
        ------
        OSError : this process lacks a function that the code calls; LLVM would end the process.
        """
        engine = _engine()
        missing = [name for name in header["calls"] if llvm.address_of_symbol(name) is None]
        if missing:
            raise OSError(f"no {', '.join(missing)} in this process")
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return cls(header, engine)

    def kernel(self, name: str) -> Callable[..., Any]:
        """Return the entry of that name; it releases the GIL, and checks what it is given."""
        address = self.engine.get_function_address(SYMBOL.format(name))
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)
        entry = self.header["entries"][name]
        take = {"bool": bool, "int64": int}[entry["returns"]]

        def call(*arguments: Any) -> Any:
            table = word_table(arguments, entry["takes"])
            result = ctypes.c_int64()
            function(table.ctypes.data, ctypes.addressof(result))
            return take(result.value)

        return call


def _engine() -> llvm.ExecutionEngine:
    """Return an empty engine; only once there is one does LLVM know the functions of this process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)

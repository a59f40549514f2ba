"""From the kernels to machine code, in a process of its own: `python -m tracekit.analyzers.kernels.compilation`.

numba by itself optimises every kernel together with all that it calls, again and again up to the entry. Here each
kernel stays a fragment as numba lowers it, and LLVM optimises and compiles once, all fragments as one module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, typeof, types
from numba.core.codegen import JITCodeLibrary
from numba.core.funcdesc import default_mangler
from numba.core.registry import cpu_target
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model
from numba.np import arrayobj
from numba.np.arrayobj import make_array, populate_array

from tracekit.analyzers.kernels import jit
from tracekit.analyzers.kernels.code_file import CodeFile
from tracekit.analyzers.kernels.example import entry_arguments
from tracekit.analyzers.kernels.machine_code import SYMBOL, MachineCode
from tracekit.analyzers.kernels.word_table import form, parts

WORD = ir.IntType(64)
WORDS = types.CPointer(types.int64)
"""A word table in the kernels' own terms."""

MAY_CALL = {"exp", "exp2", "expm1", "log", "log1p", "log2", "pow", "sqrt", "memset", "memcpy", "memmove"}
"""What machine code may ask of the process: C's own. A kernel that could raise would need numba and Python."""


class Fragment(JITCodeLibrary):
    """One kernel as numba lowers it, neither optimised nor linked nor compiled."""

    def _optimize_functions(self, ll_module: llvm.ModuleRef) -> None:
        pass

    def finalize(self) -> None:
        """Leave everything to the whole."""
        self._finalized = True

    def reached(self, seen: set[int]) -> Iterator[Fragment]:
        """Yield this fragment and all that it calls."""
        if id(self) not in seen:
            seen.add(id(self))
            yield self
            for library in self._linking_libraries:
                if isinstance(library, Fragment):
                    yield from library.reached(seen)


class Fields(types.Type):
    """A tuple of arrays that is handed on as one pointer into the word table.

    numba would hand on some 300 numbers at each call, and LLVM would take most of its time to see that they are
    always the same.
    """

    def __init__(self, fields: Any) -> None:
        self.fields = fields
        super().__init__(f"Fields({fields.instance_class.__name__})")

    @property
    def key(self) -> Any:
        """What makes two types the same."""
        return self.fields

    def place(self, name: str) -> tuple[int, Any]:
        """Return the field's first word, counted from the tuple's, and its type."""
        index = self.fields.fields.index(name)
        return sum(map(words_of, self.fields.types[:index])), in_table(self.fields.types[index])


@register_model(Fields)
class FieldsModel(models.PrimitiveModel):
    """How LLVM sees it."""

    def __init__(self, manager: Any, fields: Fields) -> None:
        super().__init__(manager, fields, WORD.as_pointer())


@infer_getattr
class FieldsAttributes(AttributeTemplate):
    """What type a field has in a kernel."""

    key = Fields

    def generic_resolve(self, fields: Fields, name: str) -> Any:  # type: ignore[override]
        """Return the type."""
        return fields.place(name)[1]


@lower_getattr_generic(Fields)
def lower_field(context: Any, builder: ir.IRBuilder, fields: Fields, words: ir.Value, name: str) -> ir.Value:
    """Return the field's value."""
    place, wanted = fields.place(name)
    return unpacked(context, Cursor(builder, words, place), wanted)


def in_table(wanted: Any) -> Any:
    """Return the type that kernels see where Python has this one."""
    return Fields(wanted) if isinstance(wanted, types.NamedTuple) else wanted


def words_of(wanted: Any) -> int:
    """Return how many words of the table it takes."""
    if isinstance(wanted, Fields):
        return words_of(wanted.fields)
    if isinstance(wanted, types.NamedTuple):
        return sum(map(words_of, wanted.types))
    return 1 + wanted.ndim if isinstance(wanted, types.Array) else 1


class Cursor:
    """The next word of a table, as LLVM reads it; no kernel writes there."""

    def __init__(self, builder: ir.IRBuilder, table: ir.Value, place: int = 0) -> None:
        self.builder, self.table, self.place = builder, table, place

    def here(self, words: int) -> ir.Value:
        """Return the pointer to the next words, and go on behind them."""
        pointer = self.builder.gep(self.table, [ir.Constant(WORD, self.place)])
        self.place += words
        return pointer

    def word(self) -> ir.Value:
        """Return the word, an i64."""
        loaded = self.builder.load(self.here(1))
        loaded.set_metadata("invariant.load", self.builder.module.add_metadata([]))
        return loaded


def unpacked(context: Any, cursor: Cursor, wanted: Any) -> ir.Value:
    """Return the LLVM value of numba's type that stands at the cursor."""
    if isinstance(wanted, Fields):
        return cursor.here(words_of(wanted))
    if isinstance(wanted, types.Array):
        return unpacked_array(context, cursor, wanted)
    if wanted == types.int64:
        return cursor.word()
    raise TypeError(wanted)


def unpacked_array(context: Any, cursor: Cursor, wanted: Any) -> ir.Value:
    """Return an array of whole rows, which nobody counts references to."""
    builder = cursor.builder
    array = make_array(wanted)(context, builder)
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(wanted.dtype)))
    pointer = context.get_data_type(types.CPointer(wanted.dtype))
    data = builder.inttoptr(cursor.word(), pointer)
    shape = [cursor.word() for _axis in range(wanted.ndim)]
    strides = [itemsize]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    populate_array(
        array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None, parent=None
    )
    return array._getvalue()


def unpacking(wanted: tuple[Any, ...]) -> Any:
    """Return numba's function from a word table to arguments of those types."""
    arguments = types.Tuple(wanted)

    @intrinsic
    def unpack(_typing: Any, table: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> ir.Value:
            cursor = Cursor(builder, given[0])
            return context.make_tuple(builder, arguments, [unpacked(context, cursor, one) for one in wanted])

        return arguments(table), generate

    return unpack


def called_from_c(kernel: Any, arguments: tuple[Any, ...]) -> Any:
    """Return numba's result of compiling the entry: a C function of a word table and the place of its result."""
    unpack = unpacking(tuple(in_table(typeof(argument)) for argument in arguments))

    def entry(table: Any, result: Any) -> None:
        result[0] = kernel(*unpack(table))

    signature = (WORDS, WORDS)
    dispatcher: Any = njit(**jit.FLAGS)(entry)
    dispatcher.compile(signature)
    return dispatcher.overloads[signature]


class Names(dict[Any, str]):
    """Short symbols: numba's hold every field of every argument, and LLVM reads half a text of them."""

    def __call__(self, name: str, given: Any, *, abi_tags: Any = (), uid: Any = None) -> str:
        """Return the symbol of a function; another for other types of arguments."""
        return self.setdefault((name, tuple(given), uid), default_mangler(name, (), uid=len(self)))


def index_as_it_is(
    context: Any, builder: ir.IRBuilder, kind: Any, index: ir.Value, _size: ir.Value
) -> ir.Value:
    """Return the index as numba wants it; where it is less than 0 numba would count from the array's end."""
    return context.cast(builder, index, kind, types.intp)


def leave_in_fragments() -> None:
    """Let numba, in this process from here on, neither optimise nor load what it lowers, nor count from the end."""
    context = cpu_target.target_context
    context.refresh()
    context.mangler = Names()
    context.create_cpython_wrapper = lambda *_kernel, **_options: None
    context.codegen()._library_class = Fragment
    context.get_executable = lambda *_kernel: [].append  # numba tells kernels apart by it, and never calls it
    arrayobj.fix_integer_index = index_as_it_is


def whole(entries: dict[str, Any]) -> llvm.ModuleRef:
    """Return the module of all entries and what they call, of which only the entries can be seen from outside."""
    module = llvm.parse_assembly(f'target triple = "{llvm.get_process_triple()}"')
    seen: set[int] = set()
    for compiled in entries.values():
        for fragment in compiled.library.reached(seen):
            module.link_in(fragment._final_module)
    symbols = {result.fndesc.llvm_cfunc_wrapper_name: SYMBOL.format(name) for name, result in entries.items()}
    for defined in [*module.functions, *module.global_variables]:
        if not defined.is_declaration:
            defined.linkage = "external" if defined.name in symbols else "internal"
            defined.name = symbols.get(defined.name, defined.name)
    return module


def optimise(module: llvm.ModuleRef) -> None:
    """Run LLVM's passes at numba's level; after them it can be seen that no kernel raises."""
    codegen = cpu_target.target_context.codegen()
    passes, builder = codegen._module_pass_manager()
    passes.run(module, builder)
    last = llvm.create_new_module_pass_manager()
    for add in (last.add_ipsccp_pass, last.add_simplify_cfg_pass, last.add_global_dead_code_eliminate_pass):
        add()
    last.run(module, builder)
    module.verify()


def calls_of(module: llvm.ModuleRef) -> list[str]:
    """Return what the module needs of the process.

    Raises
    ------
    ValueError : it is more than C's own functions.
    """
    declared = [*module.functions, *module.global_variables]
    names = {each.name for each in declared if each.is_declaration and not each.name.startswith("llvm.")}
    names |= {each.name for each in module.global_variables if each.name.startswith("numba.dynamic.globals")}
    if names - MAY_CALL:
        raise ValueError(f"the kernels need {', '.join(sorted(names - MAY_CALL))}")
    return sorted(names)


def takes_and_returns(kernel: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Return what a caller has to know of the entry."""
    (compiled,) = kernel.overloads.values()
    is_bool = compiled.signature.return_type == types.boolean
    return {"takes": [form(part) for part in parts(arguments)], "returns": "bool" if is_bool else "int64"}


def compile_entries(given: dict[str, tuple[Any, ...]]) -> tuple[dict[str, Any], bytes]:
    """Return header and code of the entries, which are compiled for arguments like those given."""
    leave_in_fragments()
    kernels = {name: jit.ENTRIES[name].kernel for name in given}
    module = whole({name: called_from_c(kernels[name], given[name]) for name in given})
    optimise(module)
    entries = {name: takes_and_returns(kernels[name], given[name]) for name in given}
    header = {"calls": calls_of(module), "entries": entries}
    return header, cpu_target.target_context.codegen()._tm.emit_object(module)


def main() -> None:
    """Write the machine code if it is not there, once it has run here."""
    if jit.IS_OFF or jit.CODE is not None:
        return
    given = entry_arguments()
    header, code = compile_entries(given)
    compiled = MachineCode.of(header, code)
    for name, arguments in given.items():
        compiled.kernel(name)(*arguments)
    CodeFile.ours().write(header, code)


if __name__ == "__main__":
    main()

"""Numba's compiler, without the passes that kernels do not need.

A kernel is a tree of a hundred small functions. Numba would optimize each function, compile it to
machine code and wrap it for Python, although it is only inlined into kernels, where all of that
happens again. Here the compiling of such a part ends with LLVM's IR. A kernel links each of its
parts once, and all of it is optimized once: Numba would do so twice, to remove reference counts in
between, of which kernels have none. Numba's passes for features that kernels do not use (closures,
`with`, array expressions, parallel loops) are skipped.
"""

from typing import Any, ClassVar

from numba._dynfunc import make_function
from numba.core import cgutils, typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.types import WeakType

from neocog.kernels.compiler.constant_folding import FoldConstants

__all__ = ["KernelCompiler", "PartCompiler"]


class _Unoptimized(JITCodeLibrary):
    """LLVM's IR as it was emitted."""

    def add_llvm_module(self, ll_module: Any) -> None:
        self._final_module.link_in(ll_module)


class _Part(_Unoptimized):
    """LLVM's IR of a function that is only a part of kernels."""

    def finalize(self) -> None:
        self._finalized = True


class _Kernel(_Unoptimized):
    """A kernel with all its parts."""

    def finalize(self) -> None:
        # A part is only linked if the module already calls it, so its callers must come first.
        libraries: dict[Any, None] = {}

        def visit(library: Any) -> None:
            if library not in libraries:
                for part in library._linking_libraries if isinstance(library, _Part) else ():
                    visit(part)
                libraries[library] = None

        for part in self._linking_libraries:  # type: ignore[has-type]
            visit(part)
        self._linking_libraries = list(reversed(libraries))
        super().finalize()

    def _optimize_final_module(self) -> None:
        builder = self._codegen._pass_builder()
        builder.getModulePassManager().run(self._final_module, builder)


class _Lower(Lower):
    """Emits code without debugging information.

    For that, Numba has LLVM parse a module for the size of each variable, to no purpose.
    """

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        if argidx is None:
            super().storevar(value, name)
        elif name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        return cgutils.alloca_once(self.builder, lltype, name=name)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.NativeLowering):
    """Emits LLVM's IR."""

    _name = "lowering"

    @property
    def lowering_class(self) -> type:
        return _Lower


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(_Lowering):
    """Emits LLVM's IR, and for Numba's tables a function that is never called."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        super().run_pass(state)
        lowered = state.cr
        named = lowered.fndesc
        entry = make_function(
            named.lookup_module(), named.qualname, "", 0, lowered.env, (state.library,)
        )
        state.targetctx.insert_user_function(entry, named, [state.library])
        state.cr = lowered._replace(cfunc=entry)
        return True


_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    FoldConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
)


class _Typing:
    """A context of type inference that remembers what calls return.

    Numba infers types in rounds until nothing changes, and searches through all definitions of a
    function such as ``+`` each time that it meets a call.
    """

    _known: ClassVar[dict[Any, Any]] = {}

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, arguments: Any, keywords: Any) -> Any:
        """The signature of a call; None if there is none."""
        if keywords or any(isinstance(one, WeakType) for one in (function, *arguments)):
            # A compiled function, which another may follow in the same place of memory.
            return self._context.resolve_function_type(function, arguments, keywords)
        key = function, tuple(arguments)
        found = self._known.get(key)
        if found is None:
            found = self._context.resolve_function_type(function, arguments, keywords)
            if found is not None:
                self._known[key] = found
        return found


class _Compiler(CompilerBase):
    _library: type[JITCodeLibrary]
    _lowering: Any

    def compile_extra(self, func: Any) -> Any:
        self.state.library = self._library(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        self.state.typingctx = _Typing(self.state.typingctx)
        # Set from the start, because Numba looks up its own functions by the caller's flags.
        self.state.flags.no_compile = self._library is _Part
        return super().compile_extra(func)

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("kernel")
        for each in (*_PASSES, self._lowering, typed_passes.NoPythonBackend):
            passes.add_pass(each, each._name)
        passes.finalize()
        return [passes]


class KernelCompiler(_Compiler):
    """Compiles a kernel."""

    _library, _lowering = _Kernel, _Lowering


class PartCompiler(_Compiler):
    """Compiles what is part of kernels."""

    _library, _lowering = _Part, _PartLowering

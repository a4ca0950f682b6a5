"""What may import what, what is public, and what no file may hold."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "neocog"
FILES = sorted(PACKAGE.rglob("*.py"))

TESTS = sorted(Path(__file__).parent.rglob("*.py"))

#: Of a file of the package, or of tests.
MOST_LINES = 400

# What stands above the description of networks: whatever computes, reads and writes.
ABOVE = (
    "kernels",
    "engine",
    "formats",
    "network.py",
    "network_files.py",
    "models",
    "pretrained",
    "training",
    "tuning",
    "explanation",
    "report",
    "torch_engine",
    "http",
    "web",
    "serving",
    "cli",
)
DESCRIPTION = ("layers", "reference", "random", "preprocessing.py", "summary.py")
COMMANDS = ("http", "web", "serving", "cli")
# Those that import onnx by way of others.
OF_ONNX = ("formats/onnx/writing/layer_rules.py", "formats/onnx/writing/pooling_layer_rules.py")
OF_OPTUNA = ("tuning/optuna_storage.py", "tuning/optuna_study.py")
# What the modules of a folder, or one module, must not import anywhere in them.
FORBIDDEN = {
    **dict.fromkeys((*DESCRIPTION, "errors.py", "validation.py"), (*ABOVE, "data")),
    "kernels": (*(one for one in ABOVE if one != "kernels"), "data"),
    "engine": (*(one for one in ABOVE if one not in ("kernels", "engine")), "data"),
    "formats": (*(one for one in ABOVE if one != "formats"), "data"),
    "network.py": ("network_files.py", "models", "training", "explanation", "data", *COMMANDS),
    "models": ("network_files.py", "pretrained", "training", "explanation", "data", *COMMANDS),
    "pretrained": ("training", "tuning", "explanation", "data", *COMMANDS),
    "training": ("tuning", "explanation", *COMMANDS),
    "tuning": ("explanation", "report", *COMMANDS),
    "data": ("network.py", "network_files.py", "models", "training", "explanation", *COMMANDS),
    "torch_engine": ("network.py", "training", "explanation", *COMMANDS),
    "curation": ("explanation", "report", *COMMANDS),
    "explanation": ("report", *COMMANDS),
    "report": COMMANDS,
    "http": (*(one for one in ABOVE if one != "http"), "data"),
    "web": ("serving", "cli"),
    "serving": ("web", "cli"),
}


def name_of(path):
    return str(path.relative_to(PACKAGE).as_posix())


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def at_import(tree):
    """The statements that run when a module is imported, those for type checkers left out."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
            waiting += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.ExceptHandler)]


def imported(path, nodes):
    """The full names of the modules that statements import, and of what they take from them."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*parts, node.module or ""]).strip(".") if node.level else node.module
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def by_number(name):
    """The name with its numbers as numbers: b8 before b18."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def everywhere(path):
    return {name.partition(".")[0] for name in imported(path, ast.walk(tree_of(path)))}


def public_modules():
    return [p for p in FILES if p.name != "__main__.py"]


def test_there_is_something_to_look_at():
    assert {"layers/base.py", "kernels/codegen/emitter.py", "engine/trainer.py"} <= {
        name_of(p) for p in FILES
    }


def test_the_rules_see_what_they_forbid(tmp_path):
    source = (
        "if TYPE_CHECKING:\n    import one\n"
        "try:\n    import two\nexcept ImportError:\n    import three\n"
        "class A:\n    from .four import x\n"
        "def f():\n    import five\n"
    )
    names = set(imported(PACKAGE / "engine" / "made_up.py", at_import(ast.parse(source))))
    assert names == {"two", "three", "neocog.engine.four", "neocog.engine.four.x"}


def check_heavy_imports(path):
    folder, found = name_of(path).partition("/")[0], everywhere(path)
    if folder != "kernels":
        assert "numba" not in found, "only neocog/kernels imports numba"
    if name_of(path) == "kernels/compiler/kernel_cache.py":
        uses = [
            ast.unparse(node)
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "llvmlite"
        ]
        assert set(uses) <= {"llvmlite.__version__"}
    elif not name_of(path).startswith("kernels/codegen/"):
        assert "llvmlite" not in found, "only kernels/codegen imports llvmlite"
    if name_of(path) != "classifier.py":
        assert "sklearn" not in found, "only classifier.py imports scikit-learn"
    if name_of(path) not in OF_OPTUNA:
        assert "optuna" not in found, f"only {' and '.join(OF_OPTUNA)} import Optuna"
    if not name_of(path).startswith("formats/onnx/writing/"):
        assert not found & {"onnx", "onnxruntime"}, "only neocog/formats/onnx/writing imports onnx"
    if folder != "torch_engine":
        assert not found & {"torch", "torchvision"}, "only neocog/torch_engine imports torch"
    if not name_of(path).startswith(("data/sources/", "curation/feature_files.py")):
        assert "pyarrow" not in found, "only data/sources and one writer import pyarrow"
    if folder not in ("http", "web", "serving"):
        of_servers = {"starlette", "uvicorn", "python_multipart"}
        assert not found & of_servers, "only servers import Starlette and uvicorn"
    if name_of(path) != "data/fast_jpeg.py":
        assert "simplejpeg" not in found, "only data/fast_jpeg.py imports simplejpeg"
    if name_of(path) not in ("hub.py", "pretrained/hub.py"):
        assert "huggingface_hub" not in found, "only modules called hub.py import the hub's library"
    at_once = {name.partition(".")[0] for name in imported(path, at_import(tree_of(path)))}
    assert "matplotlib" not in at_once, "only a function that draws imports matplotlib"


def check_direction(path):
    rule = FORBIDDEN.get(name_of(path), FORBIDDEN.get(name_of(path).partition("/")[0], ()))
    rule = {one.removesuffix(".py") for one in rule}
    parts = [n.split(".") for n in imported(path, ast.walk(tree_of(path)))]
    assert not [".".join(p) for p in parts if p[0] == "neocog" and len(p) > 1 and p[1] in rule]


def modules_imported(modules):
    """By each module those of them that it imports anywhere, also in functions and for types."""
    return {name: set(edges_of(path, modules)) - {name} for name, path in modules.items()}


def edges_of(path, modules):
    """The modules that a file imports: of ``from a import b`` a.b if that is one, else a."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            base, *taken = imported(path, [node])
            yield from (full if full in modules else base for full in taken if base in modules)


def circle_in(edges):
    """Modules that import each other around; empty if there are none."""
    done, way = set(), []

    def look(name):
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        way.append(name)
        circle = next(filter(None, map(look, sorted(edges[name]))), [])
        way.pop()
        done.add(name)
        return circle

    return next(filter(None, map(look, sorted(edges))), [])


def test_a_circle_is_seen():
    assert circle_in({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_module_imports_another_in_a_circle():
    circle = circle_in(modules_imported({module_of(path): path for path in FILES}))
    assert not circle, " → ".join([*circle, circle[0]])


def check_nan_flags(path):
    """No flag assumes NaN away, however it is spelled: an option, a keyword, one of LLVM's own."""
    words = {"fastmath", "fast", "nnan", "ninf", "nsz", "reassoc", "afn", "arcp"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.keyword):
            assert node.arg not in ("fastmath", "flags"), f"line {node.value.lineno}"
        elif isinstance(node, ast.Dict):
            keys = {k.value for k in node.keys if isinstance(k, ast.Constant)}
            assert "fastmath" not in keys, f"line {node.lineno}"
        elif isinstance(node, ast.Tuple | ast.List) and name_of(path).startswith("kernels/"):
            held = {e.value for e in node.elts if isinstance(e, ast.Constant)}
            assert not held & words, f"line {node.lineno}"


# One test a module: pytest takes longer for a test than these for a look.
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_a_module_holds(path):
    check_heavy_imports(path)
    check_direction(path)
    check_nan_flags(path)


def test_length():
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in (*FILES, *TESTS)}
    assert not {str(path): length for path, length in lengths.items() if length > MOST_LINES}


@pytest.mark.parametrize("path", public_modules(), ids=name_of)
def test_public_names(path):
    """Every module says what it is and lists what is public, sorted; all of that is described."""
    if name_of(path).startswith("torch_engine/"):
        pytest.importorskip("torch")
    if name_of(path) == "classifier.py":
        pytest.importorskip("sklearn")
    if everywhere(path) & {"onnx", "onnxruntime"} or name_of(path) in OF_ONNX:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    if name_of(path) in (*OF_OPTUNA, "tuning/tune.py", "cli/tune.py"):
        pytest.importorskip("optuna")
    module = importlib.import_module(module_of(path))
    assert module.__doc__, "no docstring"
    if not hasattr(module, "__all__"):
        # Only a module whose names nobody takes may go without.
        defined = [n for n in tree_of(path).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        assert path.name == "__init__.py" or not defined, "no __all__"
        return
    names = list(module.__all__)
    # As ruff sorts them: CONSTANTS, then Classes, then functions, numbers in them by their value.
    order = sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), by_number(n)))
    assert names == order or path == PACKAGE / "__init__.py"  # whose list is made of its imports
    assert len(set(names)) == len(names)
    for name in names:
        value = getattr(module, name)
        ours = getattr(value, "__module__", "").startswith("neocog")
        if ours and (inspect.isclass(value) or inspect.isfunction(value)):
            assert (value.__doc__ or "").strip(), f"{name} has no docstring"
    for node in tree_of(path).body:
        # A function or class without an underscore is public, or part of a kernel.
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_importing_neocog_alone_is_light():
    code = (
        "import sys, neocog\n"
        "heavy = {'numba', 'llvmlite', 'torch', 'PIL', 'matplotlib', 'rich', 'pyarrow'}\n"
        "heavy |= {'sklearn', 'optuna', 'onnx', 'onnxruntime', 'starlette', 'uvicorn'}\n"
        "print(','.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


def test_files_of_tests_have_names_of_their_own():
    """pytest imports them, and what they share, by the name without the folder."""
    names = [path.name for path in TESTS if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))

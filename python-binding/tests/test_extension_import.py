"""How an extension is compiled, and how it finds the package."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import boc
import compiling

pytestmark = pytest.mark.by_reference("extensions use objects of the main interpreter")

EXAMPLE = Path(__file__).parents[2] / "capi-examples" / "python-extension"

no_cxx = pytest.mark.skipif(
    compiling.compiler(compiling.CXX17) is None, reason="there is no C++ compiler"
)


# What one compiles against.


def test_the_headers_are_where_the_package_says() -> None:
    folder = Path(boc.get_include()) / "boc"
    for name in "boc.h", "boc_python.h", "boc_table.h":
        assert (folder / name).is_file()
    assert boc.get_sources() == []


@pytest.mark.parametrize(
    "standard",
    ["-std=c99", "-std=c11", pytest.param("-std=c++17", marks=no_cxx)],
)
@pytest.mark.parametrize("source", ["", "#include <Python.h>\n", "#include <boc/boc.h>\n"])
def test_the_header_compiles_alone_and_twice(tmp_path: Path, standard: str, source: str) -> None:
    file = tmp_path / ("source.cc" if "++" in standard else "source.c")
    # A function that uses it all, or compilers say that there is something unused.
    file.write_text(
        f"{source}#include <boc/boc_python.h>\n#include <boc/boc_python.h>\n"
        "int used(boc_request *request);\n"
        "int used(boc_request *request) { return boc_python_import() + (request == NULL); }\n"
    )
    compiling.run_compiler(standard, "-pedantic", "-c", file, "-o", tmp_path / "object.o")


@pytest.mark.parametrize("standard", ["-std=c99", pytest.param("-std=c++17", marks=no_cxx)])
def test_a_source_that_includes_the_header_need_not_use_it(tmp_path: Path, standard: str) -> None:
    file = tmp_path / ("source.cc" if "++" in standard else "source.c")
    file.write_text("#include <boc/boc_python.h>\nint other(void);\nint other(void) { return 0; }\n")
    compiling.run_compiler(standard, "-pedantic", "-c", file, "-o", tmp_path / "object.o")


def test_an_extension_as_its_user_builds_it(program, tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    project, site = tmp_path / "project", tmp_path / "site"
    shutil.copytree(EXAMPLE, project)
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"),
            *("--no-deps", "--disable-pip-version-check", "--no-cache-dir"),
            *("--target", str(site), str(project)),
        ],
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    source = f"""
    import runpy, sys
    sys.path.insert(0, {str(site)!r})
    sys.argv = ["use_histogram.py", "--numbers=2000", "--times=500"]
    runpy.run_path({str(project / "use_histogram.py")!r}, run_name="__main__")
    """
    done = program(source)
    assert (done.returncode, done.stderr) == (0, "")
    assert "of 16000 numbers within the bounds" in done.stdout
    assert "behaviours per second" in done.stdout


@no_cxx
def test_exceptions_of_c_plus_plus_end_their_behaviour_alone(extensions: Path) -> None:
    compiling.extension(extensions, "probe_cxx.cc", "probe_cxx", compiling.CXX17)
    importlib.invalidate_caches()
    probe_cxx = importlib.import_module("probe_cxx")
    boc.start(1)
    cown = boc.Cown([])
    result = probe_cxx.throw_in_python(cown)
    with pytest.raises(RuntimeError, match=r"the body threw a C\+\+ exception of type .*out_of_range"):
        result.result()
    status, message = probe_cxx.throw_in_c(cown)
    assert status == "BOC_FAILED" and "out_of_range" in message
    # The worker goes on, and knows that they were caught; the stack was unwound.
    assert probe_cxx.uncaught().result() == 0
    assert boc.when(cown)(lambda cown: cown.value).result() == [True, True]


# Versions.


def pretended(extensions: Path, name: str, **version: int) -> None:
    flags = [f"-DPRETEND_VERSION_{part.upper()}={number}" for part, number in version.items()]
    compiling.extension(extensions, "probe.c", name, compiling.C11, *flags)
    importlib.invalidate_caches()


def installed_version() -> tuple[int, int]:
    """As the header says, which is that of the package."""
    defined = {}
    for line in (Path(boc.get_include()) / "boc" / "boc.h").read_text().splitlines():
        if line.startswith("#define BOC_VERSION_"):
            _, name, number = line.split()
            defined[name] = int(number)
    return defined["BOC_VERSION_MAJOR"], defined["BOC_VERSION_MINOR"]


def test_an_extension_for_an_older_minor_version_works(extensions: Path) -> None:
    pretended(extensions, "probe_older", minor=0)
    older = importlib.import_module("probe_older")
    number = older.number(1)
    assert older.python_when(lambda number: number + 1, [number]).result() == 2


def test_an_extension_for_a_newer_minor_version_says_what_to_do(extensions: Path) -> None:
    major, minor = installed_version()
    pretended(extensions, "probe_newer", minor=minor + 1)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("probe_newer")
    assert f"version {major}.{minor + 1} of boc's C API" in str(caught.value)
    assert f"has {major}.{minor}: install a newer package boc" in str(caught.value)


def test_an_extension_for_a_newer_major_version_says_what_to_do(extensions: Path) -> None:
    major, minor = installed_version()
    pretended(extensions, "probe_major", major=major + 1, minor=0)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("probe_major")
    assert f"version {major + 1}.0 of boc's C API" in str(caught.value)
    assert f"has {major}.{minor}: install a newer package boc" in str(caught.value)


def test_a_package_of_a_newer_major_version_says_what_to_do(
    extensions: Path, probe, program
) -> None:
    major, minor = installed_version()
    done = program(
        f"""
        import ctypes, sys, types
        sys.path.insert(0, {str(extensions)!r})
        # Of a table of another version nothing is looked at but its beginning.
        table = (ctypes.c_size_t * 2)(ctypes.sizeof(ctypes.c_size_t) * 2, {major + 1} << 16 | 7)
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype = ctypes.py_object
        capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        package = sys.modules["boc"] = types.ModuleType("boc")
        package._C_API = capsule(ctypes.addressof(table), name := b"boc._C_API", None)
        try:
            import probe
        except ImportError as error:
            print(error)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"version {major}.{minor} of boc's C API" in done.stdout
    assert f"has {major + 1}.7: build the extension anew for it" in done.stdout


# Where there is no package, or none that can be used.


def test_without_the_package_it_is_an_import_error(extensions: Path, probe, program) -> None:
    done = program(
        f"""
        import sys
        sys.path.insert(0, {str(extensions)!r})
        sys.modules["boc"] = None
        try:
            import probe
        except ImportError as error:
            print(type(error).__name__, "boc" in str(error))
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ModuleNotFoundError True\n"


def test_a_package_that_is_too_old_to_have_functions_for_c(extensions: Path, probe, program) -> None:
    done = program(
        f"""
        import sys, types
        sys.path.insert(0, {str(extensions)!r})
        sys.modules["boc"] = types.ModuleType("boc")
        try:
            import probe
        except ImportError as error:
            print(error)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "install a newer one" in done.stdout


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no module makes interpreters of both kinds")
@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_another_interpreter_is_told_that_it_cannot(extension_program, kind: str) -> None:
    done = extension_program(
        f"""
        import probe
        try:
            import _interpreters as interpreters
            create, execute = interpreters.create, interpreters.exec
        except ImportError:  # before 3.13
            import _xxsubinterpreters as interpreters
            create, execute = lambda kind: interpreters.create(isolated=kind == "isolated"), interpreters.run_string
        assert probe.take(probe.when(lambda: 1, [])) == 1
        other = create({kind!r})
        failed = execute(other, '''if True:
            try:
                import probe
            except ImportError as error:
                print(type(error).__name__, error, flush=True)
        ''')
        assert failed is None, failed
        interpreters.destroy(other)
        assert probe.take(probe.when(lambda: 2, [])) == 2
        print("at home it can")
        """
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told, home = done.stdout.splitlines()
    assert told.startswith("ImportError") and "interpreter" in told
    assert home == "at home it can"

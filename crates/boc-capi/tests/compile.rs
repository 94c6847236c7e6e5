//! Each header compiles without a warning: alone, twice in one file, as C and as C++.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Werror", "-pedantic"];

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include")
}

/// The headers, by name.
fn headers() -> Vec<String> {
    let files = fs::read_dir(include().join("boc")).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.iter().any(|name| name == "boc.h"));
    names
}

/// The platform, which the crate `cc` wants to know.
fn host() -> String {
    let answer = Command::new("rustc").arg("-vV").output().expect("rustc");
    let answer = String::from_utf8(answer.stdout).unwrap();
    answer.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Compiles a file, in a folder of its own; gives what the compiler says if it does not succeed.
fn compile(name: &str, text: &str, cpp: bool, standard: &str) -> Result<(), String> {
    let folder = env::temp_dir().join(format!("boc-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let source = folder.join(format!("{name}.{}", if cpp { "cc" } else { "c" }));
    fs::write(&source, text).unwrap();
    let host = host();
    let mut build = cc::Build::new();
    build.cpp(cpp).target(&host).host(&host).opt_level(0).cargo_metadata(false);
    let mut command = build.get_compiler().to_command();
    command.arg(format!("-std={standard}")).args(WARNINGS).arg("-I").arg(include());
    if let Some(python) = env::var_os("BOC_PYTHON_INCLUDE") {
        command.arg("-isystem").arg(python);
    }
    let answer = command.args(["-fsyntax-only"]).arg(&source).output();
    fs::remove_dir_all(&folder).unwrap();
    let answer = answer.map_err(|error| format!("the compiler cannot be run: {error}"))?;
    if answer.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&answer.stderr).into_owned())
}

/// Whether a header can be compiled here: that for Python needs Python's.
fn can_be_compiled(header: &str) -> bool {
    if header != "boc_python.h" || env::var_os("BOC_PYTHON_INCLUDE").is_some() {
        return true;
    }
    println!("{header} needs Python.h: `scripts/test capi` says where that is");
    false
}

fn compiles(name: &str, text: impl Fn(&str) -> String, cpp: bool, standards: &[&str]) {
    let for_both = |header: &String| header.ends_with(".h") || cpp && header.ends_with(".hpp");
    for header in headers().iter().filter(|header| for_both(header) && can_be_compiled(header)) {
        for standard in standards {
            if let Err(said) = compile(name, &text(header), cpp, standard) {
                panic!("{header} as {standard}:\n{said}");
            }
        }
    }
}

/// A C++ compiler is not needed by anything else.
fn has_cpp() -> bool {
    let host = host();
    let compiler = cc::Build::new().cpp(true).target(&host).host(&host).opt_level(0).get_compiler();
    let there = compiler.to_command().arg("--version").output().is_ok();
    if !there {
        println!("there is no C++ compiler, so nothing is said about C++");
    }
    there
}

fn alone(header: &str) -> String {
    format!("#include <boc/{header}>\nextern int something;\n")
}

fn twice(header: &str) -> String {
    format!("#include <boc/{header}>\n#include <boc/{header}>\nextern int something;\n")
}

#[test]
fn each_header_compiles_alone_as_c() {
    compiles("alone", alone, false, &["c99", "c11"]);
}

#[test]
fn each_header_compiles_twice_as_c() {
    compiles("twice", twice, false, &["c99", "c11"]);
}

#[test]
fn each_header_compiles_as_cpp() {
    if has_cpp() {
        compiles("cpp", alone, true, &["c++17"]);
        compiles("cpp-twice", twice, true, &["c++17"]);
    }
}

#[test]
fn a_warning_would_be_noticed() {
    let bad = "#include <boc/boc.h>\nint f(void) { int unused; return 0; }\n";
    assert!(compile("bad", bad, false, "c99").is_err());
}

//! The programs on the page for C and C++ compile, run, and print what their comments say.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const PAGE: &str = include_str!("../../../docs/c.md");

/// The blocks of a language on the page that are whole programs.
fn programs(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    let blocks = PAGE.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.filter(|block| block.contains("main(")).collect()
}

/// What the program says that it prints: the comments at the end of lines that print.
fn promised(program: &str) -> Vec<&str> {
    let prints = |line: &&str| line.contains("printf") || line.contains("std::cout");
    program
        .lines()
        .filter(prints)
        .map(|line| {
            let said = line.rsplit_once("/* ").map(|(_, said)| said.trim_end_matches(" */"));
            let said = said.or_else(|| line.rsplit_once("// ").map(|(_, said)| said));
            said.unwrap_or_else(|| panic!("this does not say what it prints: {line}"))
        })
        .collect()
}

/// Where cargo has put the library.
fn libraries() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

fn run(name: &str, compiler: &mut Command, program: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, binary) = (folder.join(name), folder.join(format!("{name}.out")));
    fs::write(&source, program).unwrap();
    let (libraries, root) = (libraries(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let built = compiler
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root.join("include"))
        .arg(&source)
        .arg("-o")
        .arg(&binary)
        .arg(libraries.join("libboc.so"))
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .arg("-pthread")
        .status();
    assert!(built.unwrap().success(), "{name} does not compile");
    let ran = Command::new(&binary).output().unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert!(
        ran.status.success(),
        "{name}: {} {}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(printed.lines().collect::<Vec<_>>(), promised(program), "{name}");
}

#[test]
fn the_programs_in_c() {
    let programs = programs("c");
    assert!(!programs.is_empty());
    for (index, program) in programs.iter().enumerate() {
        run(&format!("page{index}.c"), Command::new("cc").arg("-std=c99"), program);
    }
}

#[test]
fn the_programs_in_cxx() {
    if Command::new("c++").arg("--version").output().is_err() {
        eprintln!("there is no C++ compiler, so the programs in C++ are not looked at");
        return;
    }
    let programs = programs("cpp");
    assert!(!programs.is_empty());
    for (index, program) in programs.iter().enumerate() {
        run(&format!("page{index}.cc"), Command::new("c++").arg("-std=c++17"), program);
    }
}

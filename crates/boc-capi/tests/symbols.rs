//! The library exports what the table has, in an order that only grows, and the tests in C know all of it.
//! With `BOC_UPDATE=1` the list is written anew.
#![cfg(target_os = "linux")]

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use boc::table::NAMES;

/// The names that the library exports. Cargo builds it for these tests, beside their own program.
fn exported() -> BTreeSet<String> {
    let library = env::current_exe().unwrap().with_file_name("libboc.so");
    assert!(library.exists(), "{} was not built with this test", library.display());
    let answer = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(&library)
        .output()
        .expect("`nm`, which comes with the C compiler");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let symbols = String::from_utf8(answer.stdout).unwrap();
    symbols.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_library_exports_the_functions_of_the_table_and_nothing_else() {
    let table: BTreeSet<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(table.len(), NAMES.len(), "a name is in the table twice");
    assert!(NAMES.iter().all(|name| name.starts_with("boc_")));
    assert_eq!(exported(), table);
}

#[test]
fn the_table_only_grows_at_its_end() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("symbols.txt");
    let known = fs::read_to_string(&path).unwrap_or_default();
    let known: Vec<_> = known.lines().collect();
    assert!(
        NAMES.starts_with(&known),
        "programs that were compiled before know the functions in another order: {}",
        path.display()
    );
    if env::var_os("BOC_UPDATE").is_some() {
        return fs::write(path, NAMES.join("\n") + "\n").unwrap();
    }
    assert!(NAMES == known, "{} is not what the crate says: run `make headers`", path.display());
}

/// The text of a test in C.
fn test_in_c(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/capi");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_tests_in_c_give_null_to_each_function_that_takes_pointers() {
    let without_pointers = [
        "boc_abi_version",
        "boc_version",
        "boc_last_error",
        "boc_status_name",
        "boc_live_cowns",
        "boc_inside_behaviour",
    ];
    // NULL gives NULL, or is nothing to release.
    let fine = [
        "_clone",
        "_release",
        "_executor",
        "boc_cown_same",
        "boc_cown_downgrade",
        "boc_result_cown",
        "boc_ready_cancel",
        "boc_string_free",
    ];
    let text = test_in_c("bad_input.c");
    let refused = |name: &str| {
        text.lines().any(|line| {
            line.trim_start().starts_with(['R', 'G'])
                && line.contains(&format!("{name}("))
                && line.contains("NULL")
        })
    };
    for name in NAMES.iter().filter(|name| !without_pointers.contains(name)) {
        assert!(
            refused(name) || fine.iter().any(|end| name.ends_with(end)),
            "bad_input.c does not say what {name} does about NULL"
        );
    }
}

//! The committed headers are what the crate says. With `BOC_UPDATE=1` they are written anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use boc::table::NAMES;

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/boc")
}

/// What cbindgen makes of the crate.
fn header() -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let config = cbindgen::Config::from_file(Path::new(folder).join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_crate(folder).with_config(config).generate();
    let mut text = Vec::new();
    bindings.unwrap().write(&mut text);
    in_order(&String::from_utf8(text).unwrap())
}

/// The headings of the functions, each before the first one of its kind.
const HEADINGS: &[(&str, &str)] = &[
    ("boc_abi_version", "Versions, and what went wrong"),
    ("boc_cown_new", "Cowns"),
    ("boc_when", "Scheduling, and what a running behaviour can do"),
    ("boc_result_wait", "Results"),
    ("boc_batch_new", "Batches: several behaviours as one step"),
    ("boc_promise_new", "Promises: results that come from outside"),
    ("boc_scope_new", "Scopes: waiting for some behaviours, and all that they lead to"),
    ("boc_executor_current", "Executors: where behaviours run"),
    ("boc_pump_new", "Pumps: behaviours in somebody else's loop"),
    ("boc_runtime_new", "Runtimes: worker threads"),
];

/// The header with its functions in the order in which a reader wants them, which is that of the table.
fn in_order(header: &str) -> String {
    const START: &str = "extern \"C\" {\n#endif // __cplusplus\n\n";
    const END: &str = "\n#ifdef __cplusplus\n}  // extern";
    let start = header.find(START).unwrap() + START.len();
    let end = header.rfind(END).unwrap();
    let mut functions: Vec<_> = header[start..end].trim().split(";\n\n").collect();
    let mut ordered = String::new();
    for name in NAMES {
        let call = format!("{name}(");
        let is_it = |function: &&str| {
            let declared = function.rsplit("*/").next().unwrap();
            declared.split_whitespace().any(|word| word.trim_start_matches('*').starts_with(&call))
        };
        let found = functions.iter().position(is_it);
        let function = functions.remove(found.unwrap_or_else(|| panic!("{name} is not exported")));
        if let Some((_, heading)) = HEADINGS.iter().find(|(first, _)| first == name) {
            ordered += &format!("/* {heading} */\n\n");
        }
        ordered += &format!("{};\n\n", function.trim().trim_end_matches(';'));
    }
    assert!(functions.iter().all(|left| left.trim().is_empty()), "not in the table: {functions:?}");
    // The second pointer of an array of values does not change, which cbindgen has no way to say.
    format!("{}{ordered}{}", &header[..start], &header[end + 1..])
}

/// Compares, or writes.
fn settle(name: &str, wanted: &str) {
    let path = include().join(name);
    if env::var_os("BOC_UPDATE").is_some() {
        return fs::write(path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{name} is not what the crate says: run `make headers`");
}

#[test]
fn the_header_is_what_the_crate_says() {
    settle("boc.h", &header());
}

/// The declaration of a function, without the semicolon and without comments.
fn declaration<'a>(header: &'a str, name: &str) -> &'a str {
    let call = format!("{name}(");
    let place = header
        .match_indices(&call)
        .map(|(place, _)| place)
        // Not one in a comment, nor the end of a longer name.
        .find(|place| {
            let line = header[..*place].rfind('\n').map_or(0, |end| end + 1);
            let before = &header[line..*place];
            !before.starts_with([' ', '/', '*', '#'])
                && !before.is_empty()
                && before.ends_with([' ', '*'])
        })
        .unwrap_or_else(|| panic!("{name} is not in the header"));
    let start = header[..place].rfind('\n').unwrap() + 1;
    let end = place + header[place..].find(';').unwrap();
    &header[start..end]
}

#[test]
fn the_table_is_that_of_the_crate() {
    let header = header();
    let fields = NAMES.iter().map(|name| {
        let declared = declaration(&header, name);
        let (result, arguments) = declared.split_once(name).unwrap();
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        format!("    {result}(*{name}){};\n", arguments.join(" "))
    });
    let fields: String = fields.collect();
    let names = NAMES.iter().map(|name| format!("#define {name} (boc_table_in_use->{name})\n"));
    let names: String = names.collect();
    settle(
        "boc_table.h",
        &format!(
            "/*
 * The functions of boc.h as a table, for code that is loaded into a program which contains the library, and
 * does not link it. Include boc_python.h instead of this.
 *
 * This file is generated.
 */
#ifndef BOC_BOC_TABLE_H
#define BOC_BOC_TABLE_H

#include \"boc.h\"

/** Functions are only ever added, at the end; `size` says how many there are. */
typedef struct boc_table {{
    /** The size in bytes of the table that the program has. */
    size_t size;
    /** What boc_abi_version() gives there. */
    size_t version;
{fields}}} boc_table;

/* Each name means the function of the table to which the includer's `boc_table_in_use` points. */
{names}
#endif /* BOC_BOC_TABLE_H */
"
        ),
    );
}

//! What a C compiler makes of the committed header is what the crate has: sizes, places of fields, values
//! of constants, and the types of functions.

use std::{
    collections::BTreeMap,
    env,
    mem::{align_of, offset_of, size_of},
    path::{Path, PathBuf},
    process::Command,
};

use boc::{table::NAMES, *};

/// The header as bindgen sees it, by clang; without white space, which means nothing there.
fn header() -> String {
    assert!(
        env::var_os("LIBCLANG_PATH").is_some(),
        "this test reads the header by libclang, and LIBCLANG_PATH does not say where that is: \
         `scripts/test capi` sets it up, and runs this test"
    );
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
    // A macro that uses another one with arguments has no value for bindgen.
    let text = format!("#include <boc/boc.h>\nenum {{ FOREVER = BOC_FOREVER == {BOC_FOREVER}u }};");
    let bindings = bindgen::builder()
        .header_contents("all.h", &text)
        .clang_arg(format!("-I{}", include.display()))
        .clang_args(["-isystem", &compilers_own_headers().display().to_string()])
        .allowlist_item("(BOC|boc)_.*|FOREVER")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .layout_tests(true)
        .formatter(bindgen::Formatter::None)
        .generate()
        .expect("the header can be read");
    without_space(&bindings.to_string())
}

/// Where the C compiler keeps `stddef.h`, which libclang alone does not bring.
fn compilers_own_headers() -> PathBuf {
    let answer = Command::new("cc").arg("-print-file-name=include").output().expect("a C compiler");
    PathBuf::from(String::from_utf8(answer.stdout).unwrap().trim())
}

fn without_space(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Each layout test of bindgen is `["Size of x"][size_of::<x>() - 16usize]`.
fn layouts(header: &str) -> BTreeMap<&str, i128> {
    header
        .split("[\"")
        .skip(1)
        .map(|part| {
            let (what, rest) = part.split_once("\"]").expect("the name of a layout test");
            let (_, number) = rest[..rest.find("];").unwrap()].rsplit_once('-').unwrap();
            (what, number.trim_end_matches("usize").parse().expect("a number of bytes"))
        })
        .collect()
}

#[test]
fn structs_have_the_same_layout() {
    let mut ours = BTreeMap::new();
    macro_rules! layout {
        ($name:ident { $($field:ident)* }) => {
            ours.insert(concat!("Sizeof", stringify!($name)), size_of::<$name>() as i128);
            ours.insert(concat!("Alignmentof", stringify!($name)), align_of::<$name>() as i128);
            $(ours.insert(
                concat!("Offsetoffield:", stringify!($name), "::", stringify!($field)),
                offset_of!($name, $field) as i128,
            );)*
        };
    }
    layout!(boc_request { cown mode });
    layout!(boc_runtime_options {
        size workers flags max_in_flight thread_name stall_after_ns on_stall stall_env
        destroy_stall_env
    });
    layout!(boc_worker_stats { run stolen parked woken });
    let header = header();
    assert_eq!(layouts(&header), ours);
}

#[test]
fn constants_have_the_same_values() {
    macro_rules! constants {
        ($($type:ident { $($variant:ident)* })* ; $($constant:ident)*) => {
            [
                $($((stringify!($variant), $type::$variant as i128),)*)*
                $((stringify!($constant), $constant as i128),)*
            ]
        };
    }
    let mut ours = BTreeMap::from(constants!(
        boc_status {
            BOC_OK BOC_INVALID_ARGUMENT BOC_INVALID_HANDLE BOC_DUPLICATE_COWN BOC_TIMED_OUT
            BOC_INSIDE_BEHAVIOUR BOC_REFUSED BOC_PENDING BOC_FAILED BOC_CANCELLED BOC_TAKEN
            BOC_BROKEN BOC_GONE BOC_NO_THREAD BOC_NO_PLACE BOC_INTERRUPTED BOC_NOT_ALLOWED
            BOC_INTERNAL_ERROR
        }
        boc_mode { BOC_WRITE BOC_READ };
        BOC_FOREIGN_THREADS BOC_OBSERVE BOC_VERSION_MAJOR BOC_VERSION_MINOR BOC_VERSION_PATCH
    ));
    ours.insert("FOREVER", 1);
    let header = header();
    let theirs: BTreeMap<_, _> = header
        .split("pubconst")
        .skip(1)
        .filter_map(|part| {
            let (constant, value) = part.split_once(';')?.0.split_once('=')?;
            Some((constant.split_once(':')?.0, value.parse().ok()?))
        })
        .collect();
    assert_eq!(theirs, ours);
}

/// The type of a function: from behind its name up to its body or the semicolon.
fn signature(text: &str, start: &str, end: char) -> String {
    let place = text.find(start).unwrap_or_else(|| panic!("there is no `{start}`"));
    let text = &text[place + start.len()..];
    let text = &text[..text.find(end).unwrap()];
    text.replace("::std::os::raw::", "")
        .replace("::std::option::", "")
        .replace("\"C-unwind\"", "\"C\"")
        .replace(",)", ")")
        .replace(",>", ">")
}

#[test]
fn functions_have_the_same_types() {
    let header = header();
    let sources: String = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let sources = without_space(&sources);
    for name in NAMES {
        assert_eq!(
            signature(&header, &format!("pubfn{name}("), ';'),
            signature(&sources, &format!("extern\"C\"fn{name}("), '{'),
            "{name}"
        );
    }
    for name in ["boc_body_fn", "boc_destroy_fn", "boc_execute_fn", "boc_notify_fn", "boc_stall_fn"]
    {
        let start = format!("pubtype{name}=");
        assert_eq!(signature(&header, &start, ';'), signature(&sources, &start, ';'), "{name}");
    }
}

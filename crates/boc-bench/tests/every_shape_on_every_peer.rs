//! Each shape comes to the right result on each peer (the program panics otherwise), and each
//! figure is in the JSON.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const SHAPES: [&str; 11] = [
    "chain1", "chainK", "pairK", "ringK", "queue1", "read1", "fanK", "fresh", "nocown", "bank",
    "fib",
];
const PEERS: [&str; 4] = ["boc", "rayon", "tokio", "plain"];

fn program(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boc-bench"));
    command.args(options);
    command
}

fn output(options: &[&str]) -> String {
    let output = program(options).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {errors}");
    assert!(!errors.contains("panicked"), "{options:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn records(options: &[&str]) -> Vec<Value> {
    let lines = output(&[options, &["--json"]].concat());
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_figure_is_in_the_json() {
    let records = records(&["--n", "20", "--rounds", "2"]);
    let mut seen = HashSet::new();
    for record in &records {
        let text = |key: &str| record[key].as_str().unwrap().to_owned();
        let number = |key: &str| record[key].as_f64().unwrap_or_else(|| panic!("{key}"));
        assert!(seen.insert((text("shape"), text("peer"), record["workers"].as_u64().unwrap())));
        assert!(0.0 < number("best") && number("best") <= number("mean"), "{record}");
        assert_eq!(number("ns_per_behaviour"), number("best"));
        assert_eq!((number("n"), number("k"), number("rounds")), (20.0, 64.0, 2.0));
        let behaviours = if text("shape") == "fib" { 21_891.0 } else { 20.0 };
        assert_eq!(number("behaviours"), behaviours);
        let parts = number("allocate_ns") + number("exchange_ns");
        assert!((number("calibration_ns") - parts).abs() < 1e-6 && parts > 0.0);
        assert_eq!(text("allocator"), "rpmalloc");
        assert_eq!(record["beside_busy_loop"], false);
    }
    for shape in SHAPES {
        for peer in PEERS {
            for workers in [1, 2] {
                assert!(seen.contains(&(shape.to_owned(), peer.to_owned(), workers)), "{shape}");
            }
        }
    }
    assert_eq!(records.len(), seen.len());
    assert_eq!(records.len(), SHAPES.len() * PEERS.len() * 2);
}

/// With few cowns and several workers almost all behaviours are in each other's way.
#[test]
fn crowded() {
    let shapes = SHAPES.iter().filter(|shape| **shape != "fib");
    let shapes: Vec<&str> = shapes.flat_map(|shape| ["--shape", shape]).collect();
    let sizes = ["--n", "3001", "--k", "2", "--workers", "3", "--rounds", "1"];
    assert_eq!(records(&[&shapes[..], &sizes].concat()).len(), 10 * PEERS.len());
}

#[test]
fn the_table_and_the_chart_show_what_was_measured() {
    let svg = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a folder").join("bench.svg");
    let small = ["--n", "100", "--rounds", "1", "--shape", "chain1", "--shape", "bank"];
    let table = output(&[&small[..], &["--svg", svg.to_str().unwrap()]].concat());
    for word in ["chain1", "bank", "boc/rayon", "verona-rt", "geometric mean", "calibration"] {
        assert!(table.contains(word), "{word}");
    }
    let chart = fs::read_to_string(svg).unwrap();
    for word in ["<svg", "chain1", "bank", "rayon", "2 workers"] {
        assert!(chart.contains(word), "{word}");
    }
}

#[test]
fn a_busy_loop_is_named_in_the_json() {
    let small = ["--n", "100", "--rounds", "1", "--shape", "queue1", "--peer", "boc"];
    let records = records(&[&small[..], &["--beside-busy-loop"]].concat());
    assert!(records.iter().all(|record| record["beside_busy_loop"] == true));
    assert_eq!(records.len(), 2);
}

/// The pipe ends when the parent does, whatever ends that.
#[test]
fn a_busy_loop_ends_with_its_pipe() {
    let mut child = program(&["busy-loop"]).stdin(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none(), "it should be busy");
    drop(child.stdin.take());
    let deadline = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(ended.expect("it should have ended").success());
}

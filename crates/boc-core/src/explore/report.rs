//! What is told of a schedule: its trace, and how it failed.

use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};

use super::{
    Strategy,
    tasks::{Id, Name, Task},
};

/// One thing that happened in a schedule.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) task: Id,
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Schedules(Id),
    Spawns(Id),
    Starts,
    Yields,
    Waits,
    TimesOut,
    Ends,
}

/// So many lines are shown of the start of a trace, and of its end.
const HEAD: usize = 20;
const TAIL: usize = 60;
/// The same for the end of a replay's trace: all of it, but for programs that do not end.
const REPLAY_TAIL: usize = 2_000;

/// The trace in words, a line for each event; what ran from start to end without a break is one.
pub(super) fn trace(events: &[Event], tasks: &[Task], replay: bool) -> String {
    let tail = if replay { REPLAY_TAIL } else { TAIL };
    let mut lines: Vec<(Id, String)> = Vec::new();
    let mut before = None;
    for event in events {
        let task = &tasks[event.task];
        let place = |task: &Task| task.at.map(|at| format!("  ({at})")).unwrap_or_default();
        let line = match event.what {
            What::Ends if before == Some((event.task, What::Starts)) => {
                let (_, line) = lines.last_mut().expect("there is a line for the start");
                *line = line.replacen("starts", "runs", 1);
                before = None;
                continue;
            }
            What::Schedules(other) | What::Spawns(other) => {
                let other = &tasks[other];
                let verb =
                    if matches!(event.what, What::Spawns(_)) { "spawns" } else { "schedules" };
                format!("{verb} {}{}", other.name, place(other))
            }
            What::Starts => format!("starts{}", place(task)),
            What::Yields => String::from("yields"),
            What::Waits => String::from("waits"),
            What::TimesOut => String::from("times out"),
            What::Ends => String::from("ends"),
        };
        lines.push((event.task, line));
        before = Some((event.task, event.what));
    }
    let mut text = String::new();
    for (index, (task, line)) in lines.iter().enumerate() {
        if index < HEAD || index + tail >= lines.len() {
            let name = format!("{}", tasks[*task].name);
            let _ = writeln!(text, "{:>5}  {name:<9} {line}", index + 1);
        } else if index == HEAD {
            let left_out = lines.len() - HEAD - tail;
            let more = if replay { "" } else { ", which a replay shows" };
            let _ = writeln!(text, "       … {left_out} lines{more} …");
        }
    }
    text
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Main => f.pad("main"),
            Name::Thread(number) => write!(f, "thread {number}"),
            Name::Behaviour(number) => write!(f, "#{number}"),
        }
    }
}

/// A schedule under which the program fails.
///
/// Shown (by `Display`, and by `Debug` for the sake of `unwrap`), it is a report: what failed, how to
/// repeat it, and what happened in which order.
#[derive(Clone)]
pub struct Failed {
    pub(super) seed: u64,
    pub(super) number: u64,
    pub(super) of: u64,
    pub(super) strategy: Strategy,
    pub(super) workers: usize,
    pub(super) reason: String,
    pub(super) trace: String,
}

impl Failed {
    /// The seed of the schedule, for [`Explorer::replay`](super::Explorer::replay).
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The how-manieth schedule of the exploration it was, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What went wrong, in words for a person.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What happened up to the failure, a line for each event. Shortened in the middle unless it is
    /// that of a replay.
    pub fn trace(&self) -> &str {
        &self.trace
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, number, of, strategy, workers, reason, trace } = self;
        writeln!(f, "{reason}\n")?;
        writeln!(f, "schedule {number} of {of}, seed {seed}; {strategy:?}, {workers} workers")?;
        let thread = std::thread::current();
        // The harness names the thread of a test after the test.
        let test = thread.name().filter(|name| *name != "main").unwrap_or("<the test>");
        writeln!(f, "to replay it: BOC_SEED={seed} cargo test {test}\n")?;
        writeln!(f, "what happened:")?;
        f.write_str(trace)
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failed {}

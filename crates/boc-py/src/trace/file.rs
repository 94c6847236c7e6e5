//! The file: JSON in the format of Chrome's trace events.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    process,
};

/// A file of trace events.
pub(super) struct Output {
    file: BufWriter<File>,
    first: bool,
    process: u32,
}

/// So many bytes are written at once.
const AT_ONCE: usize = 1 << 16;

/// A track: the thread that scheduled, a worker.
pub(super) type Track = usize;

/// An element of the file. Times are in microseconds.
#[derive(Serialize)]
struct Event<'a, A: Serialize> {
    name: &'a str,
    ph: &'static str,
    ts: f64,
    pid: u32,
    tid: Track,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<A>,
}

impl Output {
    pub(super) fn begin(mut file: File, program: &str) -> io::Result<Self> {
        file.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
        let file = BufWriter::with_capacity(AT_ONCE, file);
        let mut output = Self { file, first: true, process: process::id() };
        output.name("process_name", 0, program)?;
        Ok(output)
    }

    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        if !std::mem::take(&mut self.first) {
            self.file.write_all(b",\n")?;
        }
        Ok(serde_json::to_writer(&mut self.file, value)?)
    }

    fn event<'a, A: Serialize>(
        &self,
        ph: &'static str,
        name: &'a str,
        track: Track,
        time: u64,
        args: Option<A>,
    ) -> Event<'a, A> {
        Event {
            name,
            ph,
            ts: micros(time),
            pid: self.process,
            tid: track,
            cat: None,
            dur: None,
            id: None,
            bp: None,
            s: None,
            args,
        }
    }

    fn name(&mut self, what: &'static str, track: Track, name: &str) -> io::Result<()> {
        #[derive(Serialize)]
        struct Named<'a> {
            name: &'a str,
        }
        self.write(&self.event("M", what, track, 0, Some(Named { name })))
    }

    /// Says what a track is called. They are shown in the order of their numbers.
    pub(super) fn track(&mut self, track: Track, name: &str) -> io::Result<()> {
        #[derive(Serialize)]
        struct Sorted {
            sort_index: usize,
        }
        self.name("thread_name", track, name)?;
        let sorted = Sorted { sort_index: track };
        self.write(&self.event("M", "thread_sort_index", track, 0, Some(sorted)))
    }

    /// Something that takes time. Times are in nanoseconds here, from the beginning.
    pub(super) fn slice(
        &mut self,
        category: &'static str,
        name: &str,
        track: Track,
        from: u64,
        until: u64,
        args: &impl Serialize,
    ) -> io::Result<()> {
        let event = self.event("X", name, track, from, Some(args));
        let dur = Some(micros(until.saturating_sub(from)));
        self.write(&Event { cat: Some(category), dur, ..event })
    }

    /// An arrow from one track to another. It begins and ends at slices that are there at these times.
    pub(super) fn arrow(
        &mut self,
        id: u64,
        from: (Track, u64),
        to: (Track, u64),
    ) -> io::Result<()> {
        for (ph, (track, time), bp) in [("s", from, None), ("f", to, Some("e"))] {
            let event = self.event(ph, "scheduled", track, time, None::<()>);
            self.write(&Event { cat: Some("schedule"), id: Some(id), bp, ..event })?;
        }
        Ok(())
    }

    /// Something that takes none.
    pub(super) fn instant(
        &mut self,
        category: &'static str,
        name: &str,
        track: Track,
        time: u64,
        args: &impl Serialize,
    ) -> io::Result<()> {
        let event = self.event("i", name, track, time, Some(args));
        self.write(&Event { cat: Some(category), s: Some("t"), ..event })
    }

    /// Numbers that are so from this time on.
    pub(super) fn counter(
        &mut self,
        name: &str,
        time: u64,
        args: &impl Serialize,
    ) -> io::Result<()> {
        self.write(&self.event("C", name, 0, time, Some(args)))
    }

    /// Writes the rest.
    pub(super) fn end(mut self, about: &BTreeMap<String, String>) -> io::Result<()> {
        self.file.write_all(b"\n],\"otherData\":")?;
        serde_json::to_writer(&mut self.file, about)?;
        self.file.write_all(b"}\n")?;
        self.file.flush()
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

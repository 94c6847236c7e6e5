//! A busy loop in another process, so that the measured threads are pre-empted now and then.
//!
//! The child holds the reading end of a pipe, this process the only writing end. So the pipe ends
//! when this process does, however it does, and the child with it.

use std::{
    env,
    io::{self, Read},
    process::{self, Child, Command, Stdio},
    thread,
};

/// A child process that keeps a processor busy, and ends when this is dropped.
pub(crate) struct BusyLoop(Child);

impl BusyLoop {
    /// Starts the child.
    pub(crate) fn start() -> io::Result<Self> {
        Command::new(env::current_exe()?)
            .arg("busy-loop")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map(Self)
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends by itself, since its standard input has.
        let _ = self.0.wait();
    }
}

/// What the child does.
pub(crate) fn run() -> ! {
    thread::spawn(|| {
        // An error ends it just as well.
        let _ = io::stdin().read(&mut [0]);
        process::exit(0);
    });
    loop {
        std::hint::spin_loop();
    }
}

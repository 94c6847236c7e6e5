//! What the standard library would bring along: memory, a way to say something, an end for panics.
//!
//! The C library starts the program, writes, and ends the process. On a board without one, this file
//! is what changes.

use core::{
    fmt::{self, Write},
    panic::PanicInfo,
};

use talc::{TalcLock, source::Claim};

/// All the memory there is.
const ARENA: usize = 48 << 20;

#[global_allocator]
static HEAP: TalcLock<spin::Mutex<()>, Claim> = {
    static mut MEMORY: [u8; ARENA] = [0; ARENA];
    // SAFETY: nobody else has the memory, and it is there for as long as the program.
    TalcLock::new(unsafe { Claim::array(&raw mut MEMORY) })
};

/// How many allocations there are.
pub fn allocations() -> usize {
    HEAP.lock().counters().allocation_count
}

/// Writes a line to the standard output.
macro_rules! say {
    ($($argument:tt)*) => { $crate::machine::line(1, format_args!($($argument)*)) };
}
pub(crate) use say;

/// Writes a line to a file that the process was started with. What cannot be written is lost.
pub fn line(descriptor: i32, text: fmt::Arguments<'_>) {
    struct File(i32);
    impl Write for File {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            // SAFETY: the pointer and the length are those of a string.
            let written = unsafe { libc::write(self.0, text.as_ptr().cast(), text.len()) };
            if usize::try_from(written) == Ok(text.len()) { Ok(()) } else { Err(fmt::Error) }
        }
    }
    let _ = writeln!(File(descriptor), "{text}");
}

/// There is no unwinding: the process ends, and says by its status that it failed.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    line(2, format_args!("{info}"));
    // SAFETY: nothing has to be done before.
    unsafe { libc::_exit(1) }
}

/// `core` and `alloc` come compiled for unwinding, and refer to this even where nothing unwinds.
// SAFETY: the standard library, which has the only other function of this name, is not there; and it
// is never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

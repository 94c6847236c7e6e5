//! What a call says, and why.

use std::{
    borrow::Cow,
    cell::Cell,
    ffi::{CStr, c_char},
};

/// What a call says. 0 is success; what is not, has a message: see `boc_last_error`.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum boc_status {
    /// It was done.
    BOC_OK = 0,
    /// An argument cannot be: NULL where that is not said to be allowed, an unknown mode, an index
    /// beyond the end.
    BOC_INVALID_ARGUMENT = 1,
    /// A handle that was released, or that is one of another kind. A debug build of the library always
    /// notices; a release build has no means to.
    BOC_INVALID_HANDLE = 2,
    /// A cown is named twice in one request, and not only to be read.
    BOC_DUPLICATE_COWN = 3,
    /// The time ran out.
    BOC_TIMED_OUT = 4,
    /// It would wait, or end a runtime, inside of a behaviour, which could wait for itself. Schedule
    /// over a result instead.
    BOC_INSIDE_BEHAVIOUR = 5,
    /// The executor takes no more behaviours: its runtime was shut down, its pump was released, its
    /// scope has ended.
    BOC_REFUSED = 6,
    /// The behaviour has not ended.
    BOC_PENDING = 7,
    /// The behaviour failed: it called `boc_body_fail`, or threw an exception.
    BOC_FAILED = 8,
    /// The behaviour never ran: it was cancelled, or its executor ended.
    BOC_CANCELLED = 9,
    /// The value was taken before.
    BOC_TAKEN = 10,
    /// The promise was released unfulfilled.
    BOC_BROKEN = 11,
    /// The value of the cown is gone.
    BOC_GONE = 12,
    /// The operating system refused a thread.
    BOC_NO_THREAD = 13,
    /// All workers of the runtime have a thread, or the thread is a worker already.
    BOC_NO_PLACE = 14,
    /// Waiting was interrupted. In a Python program a signal handler has raised an exception, which is
    /// set.
    BOC_INTERRUPTED = 15,
    /// It is not for this caller: the runtime belongs to the program that this code was loaded into, or
    /// the cown is only read.
    BOC_NOT_ALLOWED = 16,
    /// A fault of the library. Please report it.
    BOC_INTERNAL_ERROR = 17,
}
use boc_status::*;

/// Why a call did not do what it should.
#[derive(Debug)]
pub struct Error(Box<Reason>);

/// In a box of its own: it is rare, and what can fail has less to carry around.
#[derive(Debug)]
struct Reason {
    status: boc_status,
    message: Cow<'static, str>,
}

impl Error {
    /// An error with a message that says what to do.
    #[cold]
    pub fn new(status: boc_status, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Reason { status, message: message.into() }))
    }

    /// What kind of mistake it is.
    pub fn status(&self) -> boc_status {
        self.0.status
    }

    /// What was wrong, and what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn null(name: &str) -> Self {
        Self::new(BOC_INVALID_ARGUMENT, format!("`{name}` is NULL, which it must not be"))
    }

    /// Leaves the message for `boc_last_error`.
    #[cold]
    pub(crate) fn tell(self) -> boc_status {
        let Reason { status, message } = *self.0;
        let is_end = |end: &usize| message.is_char_boundary(*end);
        let end = (0..=message.len().min(LONGEST)).rfind(is_end).unwrap_or(0);
        LAST.with(|last| {
            let bytes = message.as_bytes()[..end].iter().filter(|byte| **byte != 0);
            let ended = bytes.copied().chain([0]);
            last.iter().zip(ended).for_each(|(place, byte)| place.set(byte));
        });
        status
    }
}

/// Longer messages are cut off.
const LONGEST: usize = 511;

thread_local! {
    /// A place that stays the same, so that a pointer to it that was asked for too early is still one to the
    /// message; and that needs no end, so that it is there as long as the thread.
    static LAST: [Cell<u8>; LONGEST + 1] = const { [const { Cell::new(0) }; LONGEST + 1] };
}

/// What went wrong in the last call on this thread that did not return `BOC_OK`: a sentence that names
/// what was wrong and what to do. Never NULL, and empty if there was no such call.
///
/// It belongs to the library. The next call on this thread that does not return `BOC_OK` writes its message to
/// the same place, which is there as long as the thread.
#[unsafe(no_mangle)]
pub extern "C" fn boc_last_error() -> *const c_char {
    LAST.with(|last| last.as_ptr().cast())
}

/// The name of a status, such as "BOC_TIMED_OUT"; "unknown status" for other numbers. It lives as long
/// as the program.
#[unsafe(no_mangle)]
pub extern "C" fn boc_status_name(status: i32) -> *const c_char {
    name(status).as_ptr()
}

fn name(status: i32) -> &'static CStr {
    macro_rules! names {
        ($($name:ident)*) => {
            match status {
                $(status if status == $name as i32 => {
                    const NAME: &str = concat!(stringify!($name), "\0");
                    CStr::from_bytes_with_nul(NAME.as_bytes()).expect("an identifier has no zero")
                })*
                _ => c"unknown status",
            }
        };
    }
    names!(
        BOC_OK BOC_INVALID_ARGUMENT BOC_INVALID_HANDLE BOC_DUPLICATE_COWN BOC_TIMED_OUT
        BOC_INSIDE_BEHAVIOUR BOC_REFUSED BOC_PENDING BOC_FAILED BOC_CANCELLED BOC_TAKEN BOC_BROKEN
        BOC_GONE BOC_NO_THREAD BOC_NO_PLACE BOC_INTERRUPTED BOC_NOT_ALLOWED BOC_INTERNAL_ERROR
    )
}

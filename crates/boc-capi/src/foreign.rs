//! Calling functions of others, which may throw.
//!
//! A C++ exception that comes into Rust ends the process. So these functions are called from a frame of
//! our own that catches what is no panic, in the terms of the Itanium C++ ABI (*Exception Handling*,
//! level I): [`personality`] says that the frame handles the exception, and where the frame goes on. A
//! panic passes the frame, and is caught by who called it; so does the forced unwinding of a thread that
//! ends.
//!
//! The frame is written for x86-64. Elsewhere an exception ends the process, as in most C libraries.

use std::{ffi::c_void, fmt};

use crate::{
    body::{BodyFn, boc_body},
    complain::complain,
    host,
};

/// Something that is no panic came out of a function.
#[derive(Debug)]
pub(crate) struct Thrown {
    /// The type of the exception, if it is one of C++ and the C++ runtime can be asked.
    kind: Option<String>,
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_deref();
        match kind {
            Some(kind) => write!(f, "threw a C++ exception of type {kind}")?,
            None => f.write_str("threw an exception")?,
        }
        f.write_str(": catch it inside, or use boc.hpp, which carries it to the result")
    }
}

/// Calls the body of a behaviour.
///
/// # Safety
///
/// The body can be called with these arguments.
#[inline]
pub(crate) unsafe fn call_body(
    function: BodyFn,
    body: *mut boc_body,
    values: *const *mut c_void,
    env: *mut c_void,
) -> Result<(), Thrown> {
    // SAFETY: passed on to the caller.
    enclosed(|| unsafe { imp::call_body(function, body, values, env) })
}

/// Calls `f`, which calls a function of somebody else and does nothing besides: it has no destructors.
#[inline]
pub(crate) fn call<F: FnOnce() + Copy>(f: F) -> Result<(), Thrown> {
    enclosed(|| imp::call(f))
}

/// [`call`] where nobody can be told that the function, which is `who`, has thrown.
#[inline]
pub(crate) fn tell<F: FnOnce() + Copy>(who: &str, f: F) {
    if let Err(thrown) = call(f) {
        complain(format_args!("{who} {thrown}"));
    }
}

/// Calls `call` as the host wants it.
#[inline]
fn enclosed(call: impl Fn() -> Result<(), Thrown>) -> Result<(), Thrown> {
    let Some(host) = host::containing() else { return call() };
    let mut thrown = Ok(());
    host.enclose(&mut || thrown = call());
    thrown
}

#[cfg(not(all(target_arch = "x86_64", unix, not(target_vendor = "apple"))))]
mod imp {
    use super::{BodyFn, Thrown, boc_body, c_void};

    pub(super) unsafe fn call_body(
        function: BodyFn,
        body: *mut boc_body,
        values: *const *mut c_void,
        env: *mut c_void,
    ) -> Result<(), Thrown> {
        // SAFETY: passed on to the caller.
        unsafe { function(body, values, env) };
        Ok(())
    }

    pub(super) fn call<F: FnOnce() + Copy>(f: F) -> Result<(), Thrown> {
        f();
        Ok(())
    }
}

#[cfg(all(target_arch = "x86_64", unix, not(target_vendor = "apple")))]
mod imp {
    use super::{BodyFn, Thrown, boc_body, c_void};
    use crate::symbol;
    use std::{
        ffi::{CStr, CString, c_char, c_int},
        mem,
        ptr::{self, NonNull},
    };

    /// What the unwinder knows of an exception, whatever the language: the start of it.
    #[repr(C)]
    struct Exception {
        class: u64,
        /// A function of the runtime that has thrown it.
        cleanup: *const c_void,
    }

    /// Where the unwinder is.
    #[repr(C)]
    struct Context {
        _private: [u8; 0],
    }

    unsafe extern "C" {
        fn _Unwind_GetLanguageSpecificData(context: *mut Context) -> *mut c_void;
        fn _Unwind_GetCFA(context: *mut Context) -> usize;
        fn _Unwind_SetIP(context: *mut Context, address: usize);
        fn _Unwind_DeleteException(exception: *mut Exception);
    }

    // What the unwinder asks for, and what it is told.
    const SEARCH_PHASE: c_int = 1;
    const FORCE_UNWIND: c_int = 8;
    const HANDLER_FOUND: c_int = 6;
    const INSTALL_CONTEXT: c_int = 7;
    const CONTINUE_UNWIND: c_int = 8;

    const RUST: u64 = u64::from_be_bytes(*b"MOZ\0RUST");
    const GNU_CXX: u64 = u64::from_be_bytes(*b"GNUCC++\0");
    const CLANG_CXX: u64 = u64::from_be_bytes(*b"CLNGC++\0");
    /// The lowest byte says of a C++ exception whether it was rethrown from another one.
    const KIND: u64 = !0xff;

    /// Where the frame finds the exception, in bytes from the stack pointer at its call.
    const CAUGHT: usize = 8;

    // boc_call_frame(function, body, values, env): calls the function with the rest. Gives NULL, or what it
    // has thrown, which the personality puts into the frame. (A register would do, but the unwinder of a library
    // that was linked with one of its own cannot set it by another one's function.) The data of the personality
    // is the place where the frame goes on.
    std::arch::global_asm!(
        ".pushsection .text.boc_call_frame,\"ax\",@progbits",
        ".hidden boc_call_frame",
        ".globl boc_call_frame",
        ".type boc_call_frame,@function",
        "boc_call_frame:",
        ".cfi_startproc",
        ".cfi_personality 0x1b, {personality}",
        ".cfi_lsda 0x1b, .Lboc_call_frame_caught",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, 16",
        "mov qword ptr [rbp - 8], 0",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "call rax",
        ".Lboc_call_frame_caught:",
        "mov rax, [rbp - 8]",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".size boc_call_frame, . - boc_call_frame",
        ".popsection",
        personality = sym personality,
    );

    #[allow(improper_ctypes, reason = "nobody looks into a `boc_body`")]
    unsafe extern "C-unwind" {
        fn boc_call_frame(
            function: BodyFn,
            body: *mut boc_body,
            values: *const *mut c_void,
            env: *mut c_void,
        ) -> *mut Exception;
    }

    unsafe extern "C" fn personality(
        _version: c_int,
        actions: c_int,
        class: u64,
        exception: *mut Exception,
        context: *mut Context,
    ) -> c_int {
        if actions & FORCE_UNWIND != 0 || class == RUST {
            return CONTINUE_UNWIND;
        }
        if actions & SEARCH_PHASE != 0 {
            return HANDLER_FOUND;
        }
        // SAFETY: the unwinder asks about the frame above, with an exception that is in flight. What it calls
        // the frame's address is the stack pointer at its call; above that are the two words of the frame.
        unsafe {
            let caught = (_Unwind_GetCFA(context) + CAUGHT) as *mut *mut Exception;
            caught.write(exception);
            _Unwind_SetIP(context, _Unwind_GetLanguageSpecificData(context) as usize);
        }
        INSTALL_CONTEXT
    }

    #[inline]
    pub(super) unsafe fn call_body(
        function: BodyFn,
        body: *mut boc_body,
        values: *const *mut c_void,
        env: *mut c_void,
    ) -> Result<(), Thrown> {
        // SAFETY: passed on to the caller. What is unwound between the throw and the frame is code of
        // others.
        match NonNull::new(unsafe { boc_call_frame(function, body, values, env) }) {
            None => Ok(()),
            Some(exception) => Err(caught(exception)),
        }
    }

    pub(super) fn call<F: FnOnce() + Copy>(f: F) -> Result<(), Thrown> {
        /// In the form of a body, of which it only has the env.
        unsafe extern "C-unwind" fn run<F: FnOnce() + Copy>(
            _: *mut boc_body,
            _: *const *mut c_void,
            f: *mut c_void,
        ) {
            // SAFETY: it is the closure below, which outlives the call, and can be copied.
            let f = unsafe { *f.cast::<F>() };
            f();
        }
        let mut f = f;
        // SAFETY: `run` gets what it expects, and has no destructors.
        unsafe { call_body(run::<F>, ptr::null_mut(), ptr::null(), (&raw mut f).cast()) }
    }

    /// Ends an exception, as a `catch` would.
    #[cold]
    fn caught(exception: NonNull<Exception>) -> Thrown {
        // SAFETY: it is a live exception that was caught by us alone.
        unsafe {
            let class = exception.as_ref().class & KIND;
            if (class == GNU_CXX || class == CLANG_CXX)
                && let Some(runtime) = CxxRuntime::of(exception.as_ref())
            {
                (runtime.begin_catch)(exception.as_ptr());
                let kind = runtime.kind();
                (runtime.end_catch)();
                return Thrown { kind };
            }
            _Unwind_DeleteException(exception.as_ptr());
        }
        Thrown { kind: None }
    }

    /// What the C++ runtime offers to those who catch, if the program has one that can be found. Who
    /// leaves it out leaves the runtime's count of exceptions in flight too high.
    struct CxxRuntime {
        begin_catch: unsafe extern "C-unwind" fn(*mut Exception) -> *mut c_void,
        end_catch: unsafe extern "C-unwind" fn(),
        current_type: Option<unsafe extern "C" fn() -> *const TypeInfo>,
        demangle: Option<Demangle>,
    }

    type Demangle = unsafe extern "C" fn(
        *const c_char,
        *mut c_char,
        *mut usize,
        status: *mut c_int,
    ) -> *mut c_char;

    /// The start of `std::type_info`.
    #[repr(C)]
    struct TypeInfo {
        vtable: *const c_void,
        name: *const c_char,
    }

    /// A library of the program.
    struct Library {
        /// None for the program itself, which cannot be opened.
        handle: Option<NonNull<c_void>>,
        /// Where it lies in memory.
        base: *mut c_void,
    }

    impl Library {
        /// The library in which a function is.
        fn of(function: *const c_void) -> Option<Self> {
            let info = symbol::place(function)?;
            // SAFETY: the name belongs to a library that is loaded.
            let handle =
                unsafe { libc::dlopen(info.dli_fname, libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
            Some(Self { handle: NonNull::new(handle), base: info.dli_fbase })
        }

        /// A function of this very library, and of none that it uses.
        fn function(&self, name: &CStr) -> *mut c_void {
            let handle = self.handle.map_or(libc::RTLD_DEFAULT, NonNull::as_ptr);
            // SAFETY: the name ends with a zero, and the library is loaded.
            let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
            let is_ours = symbol::place(found).is_some_and(|place| place.dli_fbase == self.base);
            if is_ours { found } else { ptr::null_mut() }
        }
    }

    impl Drop for Library {
        fn drop(&mut self) {
            if let Some(handle) = self.handle {
                // SAFETY: it was opened by `of`.
                unsafe { libc::dlclose(handle.as_ptr()) };
            }
        }
    }

    impl CxxRuntime {
        /// The runtime that has thrown an exception, which knows it. There may be others in the program, and
        /// this one may be seen by a plugin alone.
        fn of(exception: &Exception) -> Option<Self> {
            let library = Library::of(exception.cleanup)?;
            let symbol = |name: &CStr| library.function(name);
            let begin = NonNull::new(symbol(c"__cxa_begin_catch"))?;
            let end = NonNull::new(symbol(c"__cxa_end_catch"))?;
            // SAFETY: the ABI gives these functions these types; a null pointer becomes `None`.
            unsafe {
                Some(Self {
                    begin_catch: mem::transmute::<
                        *mut c_void,
                        unsafe extern "C-unwind" fn(*mut Exception) -> *mut c_void,
                    >(begin.as_ptr()),
                    end_catch: mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn()>(
                        end.as_ptr(),
                    ),
                    current_type: mem::transmute::<
                        *mut c_void,
                        Option<unsafe extern "C" fn() -> *const TypeInfo>,
                    >(symbol(c"__cxa_current_exception_type")),
                    demangle: mem::transmute::<*mut c_void, Option<Demangle>>(symbol(
                        c"__cxa_demangle",
                    )),
                })
            }
        }

        /// The type of the exception that was caught last.
        ///
        /// # Safety
        ///
        /// It was caught on this thread, and has not ended.
        unsafe fn kind(&self) -> Option<String> {
            // SAFETY: the runtime gives the type of what was caught, or null; its name lives as long.
            let mangled = unsafe {
                let name = (self.current_type?)().as_ref()?.name;
                // A star says that the type is of one file alone; it is not part of the name.
                CStr::from_ptr(if *name == b'*' as c_char { name.add(1) } else { name })
            };
            Some(self.demangled(mangled).unwrap_or_else(|| mangled.to_owned()))
                .map(|name| name.to_string_lossy().into_owned())
        }

        fn demangled(&self, mangled: &CStr) -> Option<CString> {
            let mut status = 0;
            // SAFETY: without a buffer the function allocates one, for the caller to free.
            unsafe {
                let name =
                    self.demangle?(mangled.as_ptr(), ptr::null_mut(), ptr::null_mut(), &mut status);
                let name = NonNull::new(name)?;
                let copy = CStr::from_ptr(name.as_ptr()).to_owned();
                libc::free(name.as_ptr().cast());
                Some(copy)
            }
        }
    }
}

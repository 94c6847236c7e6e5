//! Calling functions of others, which may throw.
//!
//! A C++ exception that comes into Rust ends the process. So these functions are called from a frame of
//! our own that catches what is no panic, in the terms of the Itanium C++ ABI (*Exception Handling*,
//! level I): [`personality`] says that the frame handles the exception, and where the frame goes on. A
//! panic passes the frame, and is caught by who called it; so does the forced unwinding of a thread that
//! ends.
//!
//! The frame is written for x86-64. Elsewhere an exception ends the process, as in most C libraries.

use std::fmt;

use crate::host;

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

/// Calls `f`, which calls a function of somebody else and does nothing besides: it has no destructors.
#[inline]
pub(crate) fn call<F: FnOnce() + Copy>(f: F) -> Result<(), Thrown> {
    let Some(host) = host::containing() else { return imp::call(f) };
    let mut thrown = Ok(());
    host.enclose(&mut || thrown = imp::call(f));
    thrown
}

#[cfg(not(all(target_arch = "x86_64", unix, not(target_vendor = "apple"))))]
mod imp {
    use super::Thrown;

    pub(super) fn call<F: FnOnce() + Copy>(f: F) -> Result<(), Thrown> {
        f();
        Ok(())
    }
}

#[cfg(all(target_arch = "x86_64", unix, not(target_vendor = "apple")))]
mod imp {
    use super::Thrown;
    use std::{
        ffi::{CStr, CString, c_char, c_int, c_void},
        mem,
        ptr::{self, NonNull},
    };

    /// What the unwinder knows of an exception, whatever the language. Its fields are not looked at.
    #[repr(C)]
    struct Exception {
        class: u64,
    }

    /// Where the unwinder is.
    #[repr(C)]
    struct Context {
        _private: [u8; 0],
    }

    unsafe extern "C" {
        fn _Unwind_GetLanguageSpecificData(context: *mut Context) -> *mut c_void;
        fn _Unwind_SetGR(context: *mut Context, register: c_int, value: usize);
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

    /// The register in which a frame that goes on finds the exception: rax.
    const RESULT: c_int = 0;

    // boc_call_frame(function, data): calls the function. Gives NULL, or what it has thrown. The data of
    // the personality is the place where the frame goes on.
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
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "xor eax, eax",
        ".Lboc_call_frame_caught:",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".size boc_call_frame, . - boc_call_frame",
        ".popsection",
        personality = sym personality,
    );

    unsafe extern "C-unwind" {
        fn boc_call_frame(
            function: unsafe extern "C-unwind" fn(*mut c_void),
            data: *mut c_void,
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
        // SAFETY: the unwinder asks about the frame above, with an exception that is in flight.
        unsafe {
            _Unwind_SetGR(context, RESULT, exception as usize);
            _Unwind_SetIP(context, _Unwind_GetLanguageSpecificData(context) as usize);
        }
        INSTALL_CONTEXT
    }

    #[inline]
    pub(super) fn call<F: FnOnce() + Copy>(f: F) -> Result<(), Thrown> {
        unsafe extern "C-unwind" fn run<F: FnOnce() + Copy>(f: *mut c_void) {
            // SAFETY: it is the closure below, which outlives the call, and can be copied.
            let f = unsafe { *f.cast::<F>() };
            f();
        }
        let mut f = f;
        // SAFETY: `run` gets what it expects. What is unwound between the throw and the frame is code of
        // others, and `run`, which has no destructors.
        let thrown = unsafe { boc_call_frame(run::<F>, (&raw mut f).cast()) };
        match NonNull::new(thrown) {
            None => Ok(()),
            Some(exception) => Err(caught(exception)),
        }
    }

    /// Ends an exception, as a `catch` would.
    #[cold]
    fn caught(exception: NonNull<Exception>) -> Thrown {
        // SAFETY: it is a live exception that was caught by us alone.
        unsafe {
            let class = exception.as_ref().class & KIND;
            if (class == GNU_CXX || class == CLANG_CXX)
                && let Some(runtime) = CxxRuntime::find()
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

    fn symbol(name: &CStr) -> *mut c_void {
        // SAFETY: the name ends with a zero.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
    }

    impl CxxRuntime {
        fn find() -> Option<Self> {
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
            let mangled = unsafe { CStr::from_ptr((*(self.current_type?)().as_ref()?).name) };
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

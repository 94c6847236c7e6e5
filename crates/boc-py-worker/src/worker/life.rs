//! How the interpreter of a worker begins and ends.

use pyo3_ffi::{self as ffi, PyThreadState};

use super::living;
use crate::{
    debug, ending,
    error::{Raised, Result},
    interpreter::{self, Interpreter},
    module,
    object::{self, Object},
    parcel::Parcel,
    resident, threads, watched,
};

/// What the interpreter of a worker is made with.
pub(super) struct Settings {
    /// Its `sys.path`.
    pub(super) path: Parcel,
    /// What `boc._worker.prepare` gets.
    pub(super) rest: Parcel,
}

/// An interpreter that this thread has made, and is attached to.
pub(super) struct Life {
    state: *mut PyThreadState,
    interpreter: &'static Interpreter,
}

impl Life {
    /// Makes an interpreter. Says why it did not work. The thread is not attached.
    pub(super) fn begin(settings: &Settings) -> std::result::Result<Self, String> {
        living::add();
        let state = create().inspect_err(|_| living::remove())?;
        // Attached to the new interpreter.
        let life = Self { state, interpreter: Interpreter::enter() };
        let prepared = add_module().and_then(|()| prepare(settings));
        life.unless(prepared)
    }

    /// Has the interpreter serve another pool. The thread is not attached to another one.
    pub(super) fn begin_again(self, settings: &Settings) -> std::result::Result<Self, String> {
        // Those of modules that were not there may be there now.
        let prepared =
            object::call("importlib", c"invalidate_caches", []).and_then(|_| prepare(settings));
        self.unless(prepared)
    }

    /// Ends the interpreter if something was raised; says what.
    fn unless(self, prepared: Result<()>) -> std::result::Result<Self, String> {
        match prepared {
            Ok(()) => Ok(self),
            Err(raised) => {
                let why = describe(raised);
                self.end();
                Err(why)
            }
        }
    }

    /// The interpreter.
    pub(super) fn interpreter(&self) -> &'static Interpreter {
        self.interpreter
    }

    /// Ends the interpreter. The thread is not attached then.
    pub(super) fn end(self) {
        if let Err(raised) = object::import("boc._worker")
            .and_then(|module| module.get(c"finish"))
            .and_then(|finish| finish.call([]))
        {
            raised.clear();
        }
        self.interpreter.close();
        // SAFETY: attached with this state, the only one that is left but for threads that the program has
        // started, for which this waits. No object of the interpreter is in use.
        unsafe { end_interpreter(self.state) };
        self.interpreter.leave();
        living::remove();
    }
}

/// Makes the interpreter like the main one.
fn prepare(settings: &Settings) -> Result<()> {
    watched::begin();
    let path = settings.path.open()?;
    // SAFETY: attached.
    if unsafe { ffi::PySys_SetObject(c"path".as_ptr(), path.as_ptr()) } != 0 {
        return Err(Raised::already());
    }
    let developing = object::import("sys")?.get(c"flags")?.get(c"dev_mode")?;
    // SAFETY: the object is alive.
    let developing = unsafe { ffi::PyObject_IsTrue(developing.as_ptr()) } == 1;
    resident::set_checked(developing || debug::is_on());
    object::call("boc._worker", c"prepare", [&settings.rest.open()?]).map(drop)
}

/// Makes an interpreter, to which this thread is attached then.
#[cfg(Py_3_12)]
fn create() -> std::result::Result<*mut PyThreadState, String> {
    use std::{ffi::CStr, ptr};

    let config = ffi::PyInterpreterConfig {
        use_main_obmalloc: 0,
        allow_fork: 0,
        allow_exec: 0,
        allow_threads: 1,
        allow_daemon_threads: 0,
        check_multi_interp_extensions: 1,
        gil: ffi::PyInterpreterConfig_OWN_GIL,
    };
    // SAFETY: the thread is not attached, and the main interpreter lives as long as its pools. A new interpreter
    // is made from another one, for which this thread needs a state there as long as that takes.
    unsafe {
        let in_main = ffi::PyThreadState_New(ffi::PyInterpreterState_Main());
        if in_main.is_null() {
            return Err("there is no memory for the state of a thread".to_owned());
        }
        ffi::PyEval_RestoreThread(in_main);
        let mut state = ptr::null_mut();
        let status = ffi::Py_NewInterpreterFromConfig(&raw mut state, &raw const config);
        let failed = ffi::PyStatus_Exception(status) != 0;
        if !failed {
            ffi::PyThreadState_Swap(in_main);
        }
        ffi::PyThreadState_Clear(in_main);
        ffi::PyThreadState_DeleteCurrent();
        if failed {
            let why = if status.err_msg.is_null() {
                "Python did not say why".into()
            } else {
                CStr::from_ptr(status.err_msg).to_string_lossy()
            };
            return Err(format!("Python could not make an interpreter: {why}"));
        }
        ffi::PyEval_RestoreThread(state);
        Ok(state)
    }
}

/// Makes an interpreter, to which this thread is attached then.
#[cfg(not(Py_3_12))]
fn create() -> std::result::Result<*mut PyThreadState, String> {
    Err("interpreters with a GIL of their own came with Python 3.12".to_owned())
}

/// # Safety
///
/// As for `Py_EndInterpreter`.
unsafe fn end_interpreter(state: *mut PyThreadState) {
    unsafe extern "C-unwind" {
        fn Py_EndInterpreter(state: *mut PyThreadState);
    }
    // SAFETY: passed on to the caller.
    ending::guarded(|| unsafe { Py_EndInterpreter(state) });
}

/// Puts the module `boc._boc` into `sys.modules`, as it is in workers.
fn add_module() -> Result<()> {
    let name = Object::str("boc._boc")?;
    let spec = object::import("importlib.machinery")?.get(c"ModuleSpec")?;
    let spec = spec.call([&name, &Object::none()])?;
    let definition = module::in_workers();
    // SAFETY: attached; the definition lives for ever. The results are new references, or null.
    unsafe {
        let module = Object::from_owned(ffi::PyModule_FromDefAndSpec(definition, spec.as_ptr()))?;
        if ffi::PyModule_ExecDef(module.as_ptr(), definition) != 0 {
            return Err(Raised::already());
        }
        let modules = object::import("sys")?.get(c"modules")?;
        match ffi::PyObject_SetItem(modules.as_ptr(), name.as_ptr(), module.as_ptr()) {
            0 => Ok(()),
            _ => Err(Raised::already()),
        }
    }
}

/// An exception with its traceback, as text.
fn describe(raised: Raised) -> String {
    let exception = raised.take();
    let lines = object::import("traceback")
        .and_then(|module| module.get(c"format_exception"))
        .and_then(|format| format.call([&exception]));
    let joined = lines.and_then(|lines| Object::str("")?.get(c"join")?.call([&lines]));
    joined.map_or_else(
        |raised| {
            raised.clear();
            format!("{}: {}", exception.class_name(), exception.text())
        },
        |text| text.text(),
    )
}

/// Waits, with the interpreter free for visitors, until there may be something to do.
pub(super) fn park(interpreter: &Interpreter, wait: &mut dyn FnMut()) {
    interpreter.release_given_up();
    threads::detached(wait);
}

/// Waits, with the interpreter free for visitors, for what comes next.
pub(super) fn rest<R>(wait: impl FnOnce() -> R) -> R {
    let interpreter = interpreter::here();
    interpreter.opened_notices.clear();
    interpreter.release_given_up();
    let next = threads::detached(wait);
    interpreter.release_given_up();
    next
}

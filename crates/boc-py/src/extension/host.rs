//! What is different from a program that links libboc: the default runtime is the pool that runs Python's
//! behaviours, threads detach while they wait, and exceptions are Python's.

use boc_capi::{
    Error,
    boc_status::{self, BOC_REFUSED},
    host::{Host, Waited},
};
use boc_core::{ExecutorRef, Runtime, raw::CownPtr};
use pyo3::{ffi, prelude::*, types::PyString};
use std::{
    ffi::{CString, c_void},
    sync::Arc,
    time::Instant,
};

use crate::{
    contents::{Contents, Outcome},
    ending, orphan, patience, pool,
};

/// The Python program.
pub(crate) struct Interpreter;

/// Whether this thread is attached to the interpreter.
fn is_attached() -> bool {
    // SAFETY: asks for nothing.
    !unsafe { ffi::compat::PyThreadState_GetUnchecked() }.is_null()
}

fn start_pool() -> Result<(), Error> {
    let started = Python::try_attach(|py| pool::start(py).map_err(|error| error.to_string()));
    let exited = || Err("the interpreter has ended".to_owned());
    started.unwrap_or_else(exited).map_err(|message| Error::new(BOC_REFUSED, message))
}

impl Host for Interpreter {
    fn with_executor(&self, schedule: &mut dyn FnMut(&ExecutorRef) -> bool) -> Result<(), Error> {
        while !pool::known(|executor| executor.is_some_and(&mut *schedule)) {
            start_pool()?;
        }
        Ok(())
    }

    fn runtime(&self) -> Result<(Arc<Runtime>, bool), Error> {
        loop {
            let current = pool::current().clone();
            if let Some(runtime) = current {
                return Ok((runtime, false));
            }
            start_pool()?;
        }
    }

    fn wait(
        &self,
        deadline: Option<Instant>,
        wait: &(dyn Fn(Option<Instant>) -> bool + Sync),
    ) -> Waited {
        let done = |done| if done { Waited::Done } else { Waited::TimedOut };
        if !is_attached() {
            return done(wait(deadline));
        }
        Python::attach(|py| match patience::wait(py, deadline, wait) {
            Ok(over) => done(over),
            Err(error) => {
                error.restore(py);
                Waited::Interrupted
            }
        })
    }

    fn enclose(&self, call: &mut dyn FnMut()) {
        ending::guarded(call);
    }

    fn failure(&self) -> Option<CString> {
        // SAFETY: what is asked of the interpreter needs a thread that is attached, which is seen to.
        if !is_attached() || unsafe { ffi::PyErr_Occurred() }.is_null() {
            orphan::end_if_outermost();
            return None;
        }
        let raised = Python::attach(|py| {
            let raised = PyErr::take(py).map_or(Ok(()), Err);
            orphan::end_after_body(py, raised).err().map(|error| error.to_string())
        });
        CString::new(raised?.replace('\0', "")).ok()
    }

    unsafe fn outcome(&self, cown: CownPtr) -> boc_status {
        // SAFETY: as in `view`; results are only read once their behaviour has ended.
        unsafe {
            if !cown.holds::<Contents>() {
                return boc_status::BOC_OK;
            }
            match &(*cown.value::<Contents>()).outcome {
                Some(Outcome::Raised(_)) => boc_status::BOC_FAILED,
                Some(Outcome::Cancelled) => boc_status::BOC_CANCELLED,
                Some(Outcome::Returned(_)) | None => boc_status::BOC_OK,
            }
        }
    }

    fn complain(&self, message: &str) -> bool {
        let logged = Python::try_attach(|py| {
            let message = PyString::new(py, message);
            ending::call(py, "boc._unseen", "complain", [message.as_any()]).is_ok()
        });
        logged.unwrap_or(false)
    }

    unsafe fn view(&self, cown: CownPtr) -> *mut c_void {
        // SAFETY: the running behaviour holds the cown, so its value is its own to look at, and nobody
        // else changes it.
        unsafe {
            if !cown.holds::<Contents>() {
                return std::ptr::null_mut();
            }
            let contents: *const Contents = cown.value();
            let value = (*contents).held.value.as_ref();
            value.map_or(ffi::Py_None(), |value| value.as_ptr()).cast()
        }
    }
}

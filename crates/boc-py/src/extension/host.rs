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

use boc_py_worker::{
    contents::{Contents, Ended},
    ending,
    error::Raised,
    interpreter, object, orphan, patience,
    pool::{self, Attaching},
    threads,
    value::Value,
};

use crate::convert;

/// The Python program.
pub(crate) struct Interpreter;

/// Whether this thread is attached to the main interpreter.
fn is_attached() -> bool {
    interpreter::where_now().is_main()
}

fn start_pool() -> Result<(), Error> {
    let refused = |message| Error::new(BOC_REFUSED, message);
    let attaching = Attaching::begin().ok_or_else(|| refused(pool::EXITS.to_owned()))?;
    let started = Python::try_attach(|py| {
        drop(attaching);
        pool::start().map_err(|raised| convert::error(py, raised).to_string())
    });
    started.unwrap_or_else(|| Err("the interpreter has ended".to_owned())).map_err(refused)
}

impl Host for Interpreter {
    fn with_executor(&self, schedule: &mut dyn FnMut(&ExecutorRef) -> bool) -> Result<(), Error> {
        while !pool::known(|target| target.is_some_and(|target| schedule(target.executor))) {
            start_pool()?;
        }
        Ok(())
    }

    fn runtime(&self) -> Result<(Arc<Runtime>, bool), Error> {
        loop {
            let current = pool::current().clone();
            if let Some(pool) = current {
                return Ok((pool.runtime, false));
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
        match patience::wait_for_behaviours(deadline, |until, _| wait(until)) {
            Ok(over) => done(over),
            // The exception is set, which is said by this.
            Err(_) => Waited::Interrupted,
        }
    }

    fn bring_home(&self, run: &mut dyn FnMut()) {
        threads::at_home(run);
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
        let raised = orphan::end_after_body::<()>(Err(Raised::already())).err()?;
        let raised = Python::attach(|py| convert::error(py, raised).to_string());
        CString::new(raised.replace('\0', "")).ok()
    }

    unsafe fn outcome(&self, cown: CownPtr) -> boc_status {
        // SAFETY: as in `view`; results are only read once their behaviour has ended.
        unsafe {
            if !cown.holds::<Contents>() {
                return boc_status::BOC_OK;
            }
            match (*cown.value::<Contents>()).ended() {
                Ended::Failed => boc_status::BOC_FAILED,
                Ended::Cancelled => boc_status::BOC_CANCELLED,
                Ended::Well => boc_status::BOC_OK,
            }
        }
    }

    fn complain(&self, message: &str) -> bool {
        let logged = Python::try_attach(|py| {
            let message = convert::given(PyString::new(py, message).as_any());
            object::call("boc._unseen", c"complain", [&message]).map_err(Raised::clear).is_ok()
        });
        logged.unwrap_or(false)
    }

    unsafe fn view(&self, cown: CownPtr) -> *mut c_void {
        // SAFETY: the running behaviour holds the cown, alone or with others that read it.
        unsafe {
            if !cown.holds::<Contents>() {
                return std::ptr::null_mut();
            }
            let contents: *mut Contents = cown.value();
            let place = &raw mut (*contents).held.value;
            // The value may be packed, or live with a worker.
            threads::attached(|| match Value::at_home_shared(place) {
                Ok(object) => object.cast(),
                Err(raised) => {
                    raised.write_unraisable();
                    std::ptr::null_mut()
                }
            })
        }
    }
}

//! From the arguments of `when` to a behaviour.

use boc_core::raw::{self, Access};
use pyo3::{
    exceptions::{PyRuntimeError, PyTypeError},
    ffi,
    prelude::*,
    types::{PyList, PySequence, PyString, PyTuple},
};
use smallvec::SmallVec;
use std::{
    cell::UnsafeCell,
    collections::HashSet,
    panic::{self, AssertUnwindSafe},
    ptr,
};

use crate::{
    behaviour::{Body, Cowns},
    contents::Contents,
    cown::Cown,
    ending::{self, Kept},
    pool::{self, Refusal},
    signature, travel,
};

/// A request: the cowns that a behaviour needs, and its arguments.
#[derive(Default)]
struct Request {
    cowns: Cowns,
    /// The addresses of the cowns, once there are too many to look through.
    known: Option<HashSet<usize>>,
    /// As in [`Body`].
    arguments: Option<Vec<Kept>>,
    /// How many arguments there are.
    count: usize,
}

impl Request {
    /// Takes one argument in: a cown, or a sequence of cowns.
    fn add(&mut self, argument: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = argument.py();
        if let Ok(cown) = argument.cast::<Cown>() {
            if !self.add_cown(cown) {
                self.become_explicit(py);
            }
            self.push_argument(argument);
        } else {
            let members = sequence(argument).ok_or_else(|| wrong_argument(self.count, argument))?;
            self.become_explicit(py);
            let members = members?;
            for member in &members {
                let Ok(cown) = member.cast::<Cown>() else {
                    return Err(wrong_argument(self.count, &member));
                };
                self.add_cown(cown);
            }
            self.push_argument(members.as_any());
        }
        self.count += 1;
        Ok(())
    }

    /// Adds a cown, unless it is there already; says whether it was added.
    fn add_cown(&mut self, cown: &Bound<'_, Cown>) -> bool {
        /// Up to so many, looking through is quicker than hashing.
        const FEW: usize = 16;
        let fresh = if self.cowns.len() < FEW {
            !self.cowns.iter().any(|known| known.is(cown))
        } else {
            let address = |cown: &Py<Cown>| cown.as_ptr() as usize;
            let all = || self.cowns.iter().map(address).collect();
            self.known.get_or_insert_with(all).insert(cown.as_ptr() as usize)
        };
        if fresh {
            self.cowns.push(cown.clone().unbind());
        }
        fresh
    }

    /// From now on the arguments are not just the cowns in their order.
    fn become_explicit(&mut self, py: Python<'_>) {
        if self.arguments.is_none() {
            let so_far = self.cowns.iter().take(self.count);
            self.arguments =
                Some(so_far.map(|cown| cown.clone_ref(py).into_any().into()).collect());
        }
    }

    fn push_argument(&mut self, argument: &Bound<'_, PyAny>) {
        if let Some(arguments) = &mut self.arguments {
            arguments.push(argument.clone().unbind().into());
        }
    }

    /// Schedules a function over the request. Returns the result.
    fn schedule(&self, function: &Bound<'_, PyAny>) -> PyResult<Py<Cown>> {
        let py = function.py();
        signature::check(function, self.count)?;
        let cowns: SmallVec<[Access; 4]> =
            self.cowns.iter().map(|cown| cown.get().access()).collect();
        let result = pool::with_executor(py, |executor, refusal| {
            let body = self.body(function);
            let run = move |_: raw::Held<'_>, result: &mut Contents| body.run(result);
            // SAFETY: `self` refers to the cowns.
            let result = unsafe { raw::when(executor, &cowns, Contents::default(), run) };
            let result = result.map(Cown::result_of);
            let refused = result.as_ref().is_ok_and(Cown::is_cancelled);
            (refusal == Refusal::IsFinal || !refused).then_some(result)
        })?;
        Py::new(py, result.map_err(|duplicate| PyTypeError::new_err(duplicate.to_string()))?)
    }

    fn body(&self, function: &Bound<'_, PyAny>) -> Body {
        let py = function.py();
        let arguments = self.arguments.as_ref();
        Body {
            function: travel::reference(function).into(),
            cowns: self.cowns.iter().map(|cown| travel::reference(cown.bind(py))).collect(),
            arguments: arguments.map(|all| {
                all.iter().map(|argument| travel::reference(argument.bind(py)).into()).collect()
            }),
        }
    }
}

/// The members of a sequence as a list of their own; `None` if it is no sequence.
fn sequence<'py>(argument: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyList>>> {
    if argument.is_instance_of::<PyString>() {
        return None;
    }
    Some(ending::list(argument.cast::<PySequence>().ok()?))
}

fn wrong_argument(index: usize, argument: &Bound<'_, PyAny>) -> PyErr {
    let kind = argument.get_type();
    let kind = kind.name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    let hint = if argument.is_callable() {
        "write @when(cown, …), with parentheses, above the function"
    } else if argument.try_iter().is_ok() && !argument.is_instance_of::<PyString>() {
        "pass the cowns themselves or a list of them, which cannot be nested"
    } else {
        "wrap it in a Cown, or pass it as a default value of the function"
    };
    PyTypeError::new_err(format!(
        "can only schedule over cowns or sequences of cowns, but argument {} is or contains an \
         object of type {kind}; {hint}",
        index + 1
    ))
}

/// `when(*cowns)`: a decorator that schedules a function as a behaviour over the cowns.
#[pyfunction]
#[pyo3(signature = (*cowns))]
pub(crate) fn when<'py>(cowns: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    let all_cowns = cowns.iter_borrowed().all(|argument| argument.is_instance_of::<Cown>());
    let checked = if all_cowns { cowns } else { snapshot(&cowns)? };
    decorator(checked)
}

/// The arguments of `when`, checked, with lists of their own in the place of sequences.
fn snapshot<'py>(arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
    let one = |(index, argument): (usize, Bound<'py, PyAny>)| {
        if argument.is_instance_of::<Cown>() {
            return Ok(argument);
        }
        let members = sequence(&argument).ok_or_else(|| wrong_argument(index, &argument))??;
        match members.iter().find(|member| !member.is_instance_of::<Cown>()) {
            Some(wrong) => Err(wrong_argument(index, &wrong)),
            None => Ok(members.into_any()),
        }
    };
    let checked: Vec<_> = arguments.iter().enumerate().map(one).collect::<PyResult<_>>()?;
    PyTuple::new(arguments.py(), checked)
}

/// A builtin that takes a function and schedules it over `cowns`.
///
/// Made by hand, since a class with `__call__` costs twice as much to make, to call and to free, and
/// this is done for each behaviour.
fn decorator<'py>(cowns: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    struct Definition(UnsafeCell<ffi::PyMethodDef>);
    // SAFETY: the interpreter only reads it.
    unsafe impl Sync for Definition {}
    static SCHEDULE: Definition = Definition(UnsafeCell::new(ffi::PyMethodDef {
        ml_name: c"schedule".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: schedule },
        ml_flags: ffi::METH_O,
        ml_doc: c"schedule($self, function, /)\n--\n\nSchedule the function over the cowns."
            .as_ptr(),
    }));
    // SAFETY: the definition is static and fits the function; the builtin takes a reference to the
    // tuple, and is itself a new reference, or null with an exception set.
    unsafe {
        let builtin = ffi::PyCFunction_New(SCHEDULE.0.get(), cowns.as_ptr());
        Bound::from_owned_ptr_or_err(cowns.py(), builtin)
    }
}

/// What the builtin does: `cowns` is the tuple that it was made with.
unsafe extern "C" fn schedule(
    cowns: *mut ffi::PyObject,
    function: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        let scheduled = panic::catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the interpreter passes live objects, borrowed for the call; the first one is
            // the tuple that `decorator` put there.
            let (cowns, function) = unsafe {
                (
                    Borrowed::from_ptr(py, cowns).cast_unchecked::<PyTuple>(),
                    Borrowed::from_ptr(py, function),
                )
            };
            let mut request = Request::default();
            cowns.iter_borrowed().try_for_each(|argument| request.add(&argument))?;
            request.schedule(&function)
        }));
        match scheduled {
            Ok(Ok(result)) => result.into_ptr(),
            Ok(Err(error)) => {
                error.restore(py);
                ptr::null_mut()
            }
            Err(_) => {
                PyRuntimeError::new_err("internal error in boc while scheduling a behaviour")
                    .restore(py);
                ptr::null_mut()
            }
        }
    })
}

/// `whencall(func, args, captures)`: schedules `func` over the cowns in `args`, and passes it the
/// captures behind them.
#[pyfunction]
#[pyo3(signature = (func, args, captures=None))]
pub(crate) fn whencall(
    func: &Bound<'_, PyAny>,
    args: &Bound<'_, PyAny>,
    captures: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Cown>> {
    if func.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(
            "whencall takes the function itself, not its name as a string",
        ));
    }
    let mut request = Request::default();
    for argument in ending::list(args)? {
        request.add(&argument)?;
    }
    if let Some(captures) = captures {
        for capture in ending::list(captures)? {
            request.become_explicit(func.py());
            request.push_argument(&capture);
            request.count += 1;
        }
    }
    request.schedule(func)
}

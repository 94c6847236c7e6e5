//! From the arguments of `when` to a behaviour.

use boc_core::raw::{self, CownPtr};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyList, PySequence, PyString, PyTuple},
};
use smallvec::SmallVec;
use std::collections::HashSet;

use crate::{
    behaviour::{Body, Cowns},
    contents::Contents,
    cown::Cown,
    pool, signature, travel,
};

/// A request: the cowns that a behaviour needs, and its arguments.
#[derive(Default)]
struct Request {
    cowns: Cowns,
    /// The addresses of the cowns, once there are too many to look through.
    known: Option<HashSet<usize>>,
    /// As in [`Body`].
    arguments: Option<Vec<Py<PyAny>>>,
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
            self.arguments = Some(so_far.map(|cown| cown.clone_ref(py).into_any()).collect());
        }
    }

    fn push_argument(&mut self, argument: &Bound<'_, PyAny>) {
        if let Some(arguments) = &mut self.arguments {
            arguments.push(argument.clone().unbind());
        }
    }

    /// Schedules a function over the request. Returns the result.
    fn schedule(&self, function: &Bound<'_, PyAny>) -> PyResult<Py<Cown>> {
        let py = function.py();
        signature::check(function, self.count)?;
        let cowns: SmallVec<[CownPtr; 4]> =
            self.cowns.iter().map(|cown| CownPtr::from(cown.get().body())).collect();
        let arguments = self.arguments.as_ref();
        let body = Body {
            function: travel::reference(function),
            cowns: self.cowns.iter().map(|cown| travel::reference(cown.bind(py))).collect(),
            arguments: arguments.map(|all| {
                all.iter().map(|argument| travel::reference(argument.bind(py))).collect()
            }),
        };
        let result = pool::with_executor(py, |executor| {
            // SAFETY: `body` refers to the cowns, and lives until the behaviour has run, which
            // holds them before.
            unsafe {
                raw::when(executor, &cowns, Contents::default(), move |result: &mut Contents| {
                    body.run(result);
                })
            }
        })?;
        let result = result.map_err(|duplicate| PyTypeError::new_err(duplicate.to_string()))?;
        Py::new(py, Cown::result_of(result))
    }
}

/// The members of a sequence as a list of their own; `None` if it is no sequence.
fn sequence<'py>(argument: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyList>>> {
    if argument.is_instance_of::<PyString>() {
        return None;
    }
    Some(argument.cast::<PySequence>().ok()?.to_list())
}

fn wrong_argument(index: usize, argument: &Bound<'_, PyAny>) -> PyErr {
    let kind = argument.get_type();
    let kind = kind.name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "can only schedule over cowns or sequences of cowns, but argument {} is or contains an \
         object of type {kind}; wrap it in a Cown, or pass it as a default value of the function",
        index + 1
    ))
}

/// `when(*cowns)`: a decorator that schedules a function as a behaviour over the cowns.
#[pyfunction]
#[pyo3(signature = (*cowns))]
pub(crate) fn when(cowns: &Bound<'_, PyTuple>) -> PyResult<Schedule> {
    let mut request = Request::default();
    for argument in cowns.iter_borrowed() {
        request.add(&argument)?;
    }
    Ok(Schedule { request })
}

/// What `when(…)` returns: call it with a function to schedule that.
#[pyclass(frozen, module = "boc._boc")]
pub(crate) struct Schedule {
    request: Request,
}

#[pymethods]
impl Schedule {
    fn __call__(&self, function: &Bound<'_, PyAny>) -> PyResult<Py<Cown>> {
        self.request.schedule(function)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for cown in &self.request.cowns {
            visit.call(cown)?;
        }
        for argument in self.request.arguments.iter().flatten() {
            visit.call(argument)?;
        }
        Ok(())
    }
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
    for argument in args.try_iter()? {
        request.add(&argument?)?;
    }
    if let Some(captures) = captures {
        for capture in captures.try_iter()? {
            request.become_explicit(func.py());
            request.push_argument(&capture?);
            request.count += 1;
        }
    }
    request.schedule(func)
}

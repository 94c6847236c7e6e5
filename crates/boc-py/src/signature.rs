//! Whether a function can be called with the cowns of a request.
//!
//! Said when a behaviour is scheduled, where the mistake is, rather than when it runs.

use pyo3::{
    exceptions::{PySyntaxError, PyTypeError},
    intern,
    prelude::*,
    types::{PyFunction, PyTuple},
};
use std::cell::RefCell;

use crate::ending;

/// What counts of a code object.
#[derive(Clone, Copy)]
struct Shape {
    positional: usize,
    keyword_only: usize,
    flags: u32,
}

const VARARGS: u32 = 0x04;
const GENERATOR: u32 = 0x20;
const COROUTINE: u32 = 0x80;
const ASYNC_GENERATOR: u32 = 0x200;

/// How many code objects each thread remembers.
const REMEMBERED: usize = 64;

/// A code object and its shape. The reference keeps the address from being another object's.
type Known = Option<(Py<PyAny>, Shape)>;

thread_local! {
    /// The shapes of code objects seen last, at a place that follows from the address.
    static SHAPES: RefCell<[Known; REMEMBERED]> =
        const { RefCell::new([const { None }; REMEMBERED]) };
}

/// # Errors
///
/// A `TypeError` if the function cannot be called with so many arguments, a `SyntaxError` if it is
/// a coroutine function or a generator.
pub(crate) fn check(function: &Bound<'_, PyAny>, arguments: usize) -> PyResult<()> {
    if let Ok(function) = function.cast_exact::<PyFunction>() {
        return check_function(function, arguments);
    }
    if !function.is_callable() {
        let kind = function.get_type();
        return Err(PyTypeError::new_err(format!(
            "@when schedules a function, not an object of type {}",
            kind.name()?
        )));
    }
    check_at_length(function, arguments)
}

fn check_function(function: &Bound<'_, PyFunction>, arguments: usize) -> PyResult<()> {
    let py = function.py();
    // SAFETY: a function has a code object; the borrow becomes a reference at once.
    let code = unsafe {
        Borrowed::from_ptr(py, pyo3::ffi::PyFunction_GetCode(function.as_ptr())).to_owned()
    };
    let shape = shape(&code)?;
    if shape.flags & (GENERATOR | COROUTINE | ASYNC_GENERATOR) != 0 {
        return Err(PySyntaxError::new_err(format!(
            "{} cannot be a behaviour, since it is a generator or `async def`; schedule a plain \
             function, which runs from start to end",
            name(function)
        )));
    }
    // The common case, for which the defaults do not matter.
    if shape.positional == arguments && shape.keyword_only == 0 {
        return Ok(());
    }
    let defaults = function.getattr(intern!(py, "__defaults__"))?;
    let defaults = defaults.cast::<PyTuple>().map_or(0, |defaults| defaults.len());
    let required = shape.positional - defaults.min(shape.positional);
    if arguments < required {
        return Err(PyTypeError::new_err(format!(
            "{} takes {required} parameters without a default value, but is scheduled over \
             {arguments} cowns: each cown or list of cowns becomes one parameter, and what else \
             the function needs is a closure or a parameter with a default value (`i=i`)",
            name(function)
        )));
    }
    if arguments > shape.positional && shape.flags & VARARGS == 0 {
        return Err(PyTypeError::new_err(format!(
            "{} takes {} parameters, but is scheduled over {arguments} cowns: each cown or list of \
             cowns becomes one parameter",
            name(function),
            shape.positional
        )));
    }
    if shape.keyword_only > 0 { check_at_length(function, arguments) } else { Ok(()) }
}

fn check_at_length(function: &Bound<'_, PyAny>, arguments: usize) -> PyResult<()> {
    let arguments = arguments.into_pyobject(function.py())?;
    ending::call(function.py(), "boc._signature", "check", [function, arguments.as_any()])?;
    Ok(())
}

fn name(function: &Bound<'_, PyFunction>) -> String {
    let name = function.getattr(intern!(function.py(), "__qualname__"));
    name.map_or_else(|_| "the function".to_owned(), |name| format!("{name}()"))
}

fn shape(code: &Bound<'_, PyAny>) -> PyResult<Shape> {
    let place = (code.as_ptr() as usize >> 4) % REMEMBERED;
    let known = SHAPES.with_borrow(|shapes| match &shapes[place] {
        Some((known, shape)) if known.is(code) => Some(*shape),
        _ => None,
    });
    if let Some(shape) = known {
        return Ok(shape);
    }
    let py = code.py();
    let shape = Shape {
        positional: code.getattr(intern!(py, "co_argcount"))?.extract()?,
        keyword_only: code.getattr(intern!(py, "co_kwonlyargcount"))?.extract()?,
        flags: code.getattr(intern!(py, "co_flags"))?.extract()?,
    };
    let entry = Some((code.clone().unbind(), shape));
    let old = SHAPES.with_borrow_mut(|shapes| std::mem::replace(&mut shapes[place], entry));
    drop(old);
    Ok(shape)
}

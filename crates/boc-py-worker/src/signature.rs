//! Whether a function can be called with the cowns of a request.
//!
//! Said when a behaviour is scheduled, where the mistake is, rather than when it runs.

use pyo3_ffi as ffi;
use std::{cell::RefCell, ffi::CStr};

use crate::{
    error::{self, Raised, Result},
    interpreter,
    kept::Kept,
    object::{self, Object},
};

/// What counts of a code object.
#[derive(Clone, Copy)]
struct Shape {
    positional: usize,
    keyword_only: usize,
    flags: usize,
}

const VARARGS: usize = 0x04;
const GENERATOR: usize = 0x20;
const COROUTINE: usize = 0x80;
const ASYNC_GENERATOR: usize = 0x200;

/// How many code objects each thread remembers.
const REMEMBERED: usize = 64;

/// A code object and its shape. The reference keeps the address from being another object's.
type Known = Option<(Kept, Shape)>;

thread_local! {
    /// The shapes of code objects seen last, at a place that follows from the address.
    static SHAPES: RefCell<[Known; REMEMBERED]> =
        const { RefCell::new([const { None }; REMEMBERED]) };
}

/// Raises a `TypeError` if the function cannot be called with so many arguments, a `SyntaxError` if it is
/// a coroutine function or a generator.
pub(crate) fn check(function: &Object, arguments: usize) -> Result<()> {
    // SAFETY: the object is alive.
    unsafe {
        if ffi::PyFunction_Check(function.as_ptr()) != 0 {
            return check_function(function, arguments);
        }
        if ffi::PyCallable_Check(function.as_ptr()) == 0 {
            return Err(error::type_error(format!(
                "@when schedules a function, not an object of type {}",
                function.class_name()
            )));
        }
    }
    check_at_length(function, arguments)
}

fn check_function(function: &Object, arguments: usize) -> Result<()> {
    // SAFETY: a function has a code object; the borrow becomes a reference at once.
    let code = unsafe { Object::from_borrowed(ffi::PyFunction_GetCode(function.as_ptr())) };
    let shape = shape(&code)?;
    if shape.flags & (GENERATOR | COROUTINE | ASYNC_GENERATOR) != 0 {
        return Err(error::syntax_error(format!(
            "{} cannot be a behaviour, since it is a generator or `async def`; schedule a plain \
             function, which runs from start to end",
            name(function)
        )));
    }
    // The common case, for which the defaults do not matter.
    if shape.positional == arguments && shape.keyword_only == 0 {
        return Ok(());
    }
    // SAFETY: a function has defaults, a tuple, or null, or `None`.
    let defaults = unsafe {
        let defaults = ffi::PyFunction_GetDefaults(function.as_ptr());
        let is_tuple = !defaults.is_null() && ffi::PyTuple_Check(defaults) != 0;
        if is_tuple { ffi::PyTuple_Size(defaults) as usize } else { 0 }
    };
    let required = shape.positional - defaults.min(shape.positional);
    if arguments < required {
        return Err(error::type_error(format!(
            "{} takes {required} parameters without a default value, but is scheduled over \
             {arguments} cowns: each cown or list of cowns becomes one parameter, and what else \
             the function needs is a closure or a parameter with a default value (`i=i`)",
            name(function)
        )));
    }
    if arguments > shape.positional && shape.flags & VARARGS == 0 {
        return Err(error::type_error(format!(
            "{} takes {} parameters, but is scheduled over {arguments} cowns: each cown or list of \
             cowns becomes one parameter",
            name(function),
            shape.positional
        )));
    }
    if shape.keyword_only > 0 { check_at_length(function, arguments) } else { Ok(()) }
}

fn check_at_length(function: &Object, arguments: usize) -> Result<()> {
    object::call("boc._signature", c"check", [function, &Object::int(arguments)?])?;
    Ok(())
}

/// As errors name a function.
pub(crate) fn name(function: &Object) -> String {
    let name = function.get(c"__qualname__").map(|name| format!("{}()", name.text()));
    name.unwrap_or_else(|raised| {
        raised.clear();
        "the function".to_owned()
    })
}

fn shape(code: &Object) -> Result<Shape> {
    let place = (code.as_ptr() as usize >> 4) % REMEMBERED;
    let known = SHAPES.with_borrow(|shapes| match &shapes[place] {
        Some((known, shape)) if known.as_ptr() == code.as_ptr() => Some(*shape),
        _ => None,
    });
    if let Some(shape) = known {
        return Ok(shape);
    }
    let shape = Shape {
        positional: number(code, c"co_argcount")?,
        keyword_only: number(code, c"co_kwonlyargcount")?,
        flags: number(code, c"co_flags")?,
    };
    // What a thread remembers may outlive the interpreter of a worker.
    if interpreter::here().is_main() {
        let entry = Some((Kept::new(code.clone()), shape));
        let old = SHAPES.with_borrow_mut(|shapes| std::mem::replace(&mut shapes[place], entry));
        drop(old);
    }
    Ok(shape)
}

fn number(code: &Object, name: &CStr) -> Result<usize> {
    let number = code.get(name)?;
    // SAFETY: the object is alive; what is no number raises.
    let number = unsafe { ffi::PyLong_AsSize_t(number.as_ptr()) };
    // SAFETY: the thread is attached.
    if number == usize::MAX && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Raised::already());
    }
    Ok(number)
}

//! What a behaviour is called in reports and traces.

use boc_core::raw::Label;
use pyo3_ffi::{self as ffi, PyObject};
use std::{ffi::CStr, mem, sync::Mutex};

use crate::{
    error::{Raised, Result},
    function::Map,
    interpreter,
    object::{Object, class_name},
    threads,
};

/// The name of a function and where it begins, such as `transfer (bank.py:12)`; of what is no function of Python
/// the name alone.
///
/// No code of the program is called for that.
pub(crate) fn of(callable: &Object) -> Option<Label> {
    describe(callable).map_err(Raised::clear).ok()
}

fn describe(callable: &Object) -> Result<Label> {
    // A partial of a partial, and so on; no deeper than anybody goes.
    const DEEPEST: usize = 8;
    let mut callable = callable.clone();
    for _ in 0..DEEPEST {
        // SAFETY: attached, and the object is alive; it is a function.
        unsafe {
            let object = callable.as_ptr();
            if ffi::PyFunction_Check(object) != 0 {
                let name = (*object.cast::<ffi::PyFunctionObject>()).func_qualname;
                let name = Object::from_borrowed(name);
                let code = Object::from_borrowed(ffi::PyFunction_GetCode(object));
                return interpreter::here().labels.of(code, name);
            }
        }
        match inside(&callable)? {
            Some(inner) => callable = inner,
            None => break,
        }
    }
    // SAFETY: attached, and the object is alive.
    let is_builtin = unsafe { ffi::Py_TYPE(callable.as_ptr()) == &raw mut ffi::PyCFunction_Type };
    if is_builtin {
        return Ok(callable.get(c"__qualname__")?.text().into());
    }
    // SAFETY: as above.
    Ok(unsafe { class_name(callable.as_ptr()) }.into())
}

/// The callable that a method of an object, or a partial, calls.
fn inside(callable: &Object) -> Result<Option<Object>> {
    // SAFETY: attached, and the object is alive; its class has a name.
    let name = unsafe { CStr::from_ptr((*ffi::Py_TYPE(callable.as_ptr())).tp_name) };
    // That of a class which a program has written has no dot.
    if name == c"functools.partial" {
        return callable.get(c"func").map(Some);
    }
    // SAFETY: as above.
    let is_written = unsafe {
        ffi::PyType_HasFeature(ffi::Py_TYPE(callable.as_ptr()), ffi::Py_TPFLAGS_HEAPTYPE) != 0
    };
    if name == c"method" && !is_written {
        return callable.get(c"__func__").map(Some);
    }
    Ok(None)
}

/// The labels of functions that an interpreter knows, by the addresses of their code and of their name.
#[derive(Default)]
pub(crate) struct Labels(Mutex<Map<(usize, usize), Known>>);

struct Known {
    label: Label,
    /// They keep the addresses from being others'.
    _parts: [Object; 2],
}

// SAFETY: what gives up references to objects is done by threads that are attached to their interpreter.
unsafe impl Send for Labels {}
// SAFETY: as above, and the map is behind a lock.
unsafe impl Sync for Labels {}

impl Labels {
    /// So many are known; when there are more, all are forgotten.
    const LIMIT: usize = 1024;

    fn of(&self, code: Object, name: Object) -> Result<Label> {
        let address = |object: *mut PyObject| object as usize;
        let key = (address(code.as_ptr()), address(name.as_ptr()));
        // Nothing that runs Python code, or waits, is done while the map is locked.
        let known = threads::locked(&self.0).get(&key).map(|known| known.label.clone());
        if let Some(label) = known {
            return Ok(label);
        }
        let label = describe_code(&code, &name)?;
        let known = Known { label: label.clone(), _parts: [code, name] };
        let mut map = threads::locked(&self.0);
        let full = if map.len() >= Self::LIMIT { mem::take(&mut *map) } else { Map::default() };
        let before = map.insert(key, known);
        drop(map);
        drop((full, before));
        Ok(label)
    }

    /// Gives all references up.
    pub(crate) fn clear(&self) {
        let all = mem::take(&mut *threads::locked(&self.0));
        drop(all);
    }
}

fn describe_code(code: &Object, name: &Object) -> Result<Label> {
    let (file, line) = (code.get(c"co_filename")?, code.get(c"co_firstlineno")?);
    Ok(format!("{} ({}:{})", name.text(), file.text(), line.text()).into())
}

//! What all classes here have in common: heap types, whose objects have a value of Rust.

use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyObject, PyTypeObject};
use std::{
    array,
    cell::UnsafeCell,
    ffi::{CStr, c_int, c_uint, c_ulong, c_void},
    mem::{ManuallyDrop, offset_of},
    panic::{self, AssertUnwindSafe},
    ptr,
};

use crate::{
    ending,
    error::{self, Raised, Result},
    object::Object,
};

/// An object with a value of Rust.
#[repr(C)]
pub struct Instance<T> {
    head: PyObject,
    weak_references: *mut PyObject,
    value: ManuallyDrop<T>,
}

/// What Rust has to say of a class: tables that Python only reads.
#[repr(transparent)]
pub struct Table<T, const COUNT: usize>(UnsafeCell<[T; COUNT]>);

// SAFETY: Python only reads it.
unsafe impl<T, const COUNT: usize> Sync for Table<T, COUNT> {}

impl<T, const COUNT: usize> Table<T, COUNT> {
    /// The last entry ends the table.
    pub const fn new(entries: [T; COUNT]) -> Self {
        Self(UnsafeCell::new(entries))
    }

    /// For Python.
    pub const fn get(&self) -> *mut T {
        self.0.get().cast()
    }
}

/// Runs a function that Python calls; null means that it raised.
pub fn entered(f: impl FnOnce() -> Result<Object>) -> *mut PyObject {
    caught(f).map_or(ptr::null_mut(), Object::into_ptr)
}

/// Runs a function that Python calls; -1 means that it raised.
pub fn entered_for_status(f: impl FnOnce() -> Result<()>) -> c_int {
    caught(f).map_or(-1, |()| 0)
}

fn caught<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    panic::catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|_| Err(error::runtime_error("internal error in boc")))
}

/// The value of an object.
///
/// # Safety
///
/// The object is of a class that was made for `T`, and lives as long as the result is used.
pub unsafe fn value<'a, T>(object: *mut PyObject) -> &'a T {
    // SAFETY: passed on to the caller.
    unsafe { &(*object.cast::<Instance<T>>()).value }
}

/// Makes an object of a class that was made for `T`.
///
/// # Safety
///
/// The thread is attached; the class was made for `T`, or is a subclass of one.
pub unsafe fn instance<T>(class: *mut PyTypeObject, value: T) -> Result<Object> {
    // SAFETY: passed on to the caller. The memory was allocated for an instance, and is zeroed. The collector
    // may have been told of the object, but does not run before the value is there.
    unsafe {
        let allocate = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let object = Object::from_owned(allocate(class, 0))?;
        (&raw mut (*object.as_ptr().cast::<Instance<T>>()).value).write(ManuallyDrop::new(value));
        Ok(object)
    }
}

/// `tp_dealloc` of a class that was made for `T`, with or without garbage collection.
///
/// # Safety
///
/// As Python calls it.
pub unsafe extern "C" fn dealloc<T>(object: *mut PyObject) {
    // SAFETY: nobody has a reference to the object any more, and its value is not used again. The class is a
    // heap type, to which each object has a reference.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if ffi::PyType_GetFlags(class) & ffi::Py_TPFLAGS_HAVE_GC != 0 {
            ffi::PyObject_GC_UnTrack(object.cast());
        }
        let instance = object.cast::<Instance<T>>();
        if !(*instance).weak_references.is_null() {
            ending::guarded(|| ending::PyObject_ClearWeakRefs(object));
        }
        ManuallyDrop::drop(&mut (*instance).value);
        let free = (*class).tp_free.expect("heap types have it");
        free(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

/// Where an object has its weak references, for a class that allows them; ends with an entry of zeros.
pub static WEAKLY: Table<ffi::PyMemberDef, 2> = Table::new([
    ffi::PyMemberDef {
        name: c"__weaklistoffset__".as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: offset_of!(Instance<()>, weak_references) as ffi::Py_ssize_t,
        flags: ffi::Py_READONLY,
        doc: ptr::null(),
    },
    // SAFETY: zeros are null pointers and zero numbers.
    unsafe { std::mem::zeroed() },
]);

/// Makes a class of objects with a `T`, in a module. It belongs to the caller.
///
/// # Safety
///
/// The thread is attached; the slots fit `T`, and end with one of zeros.
pub unsafe fn make<T>(
    module: *mut PyObject,
    name: &'static CStr,
    flags: c_ulong,
    slots: *mut ffi::PyType_Slot,
) -> Result<Object> {
    // SAFETY: passed on to the caller; null says that there is no base.
    unsafe { make_derived::<T>(module, name, flags, slots, ptr::null_mut()) }
}

/// As [`make`], derived from another class of objects with a `T`.
///
/// # Safety
///
/// As for [`make`]; `base` is such a class, from which others can be derived, or null.
pub unsafe fn make_derived<T>(
    module: *mut PyObject,
    name: &'static CStr,
    flags: c_ulong,
    slots: *mut ffi::PyType_Slot,
    base: *mut PyObject,
) -> Result<Object> {
    const {
        assert!(
            offset_of!(Instance<T>, weak_references) == offset_of!(Instance<()>, weak_references)
        );
    };
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size_of::<Instance<T>>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_IMMUTABLETYPE | flags) as c_uint,
        slots,
    };
    // SAFETY: passed on to the caller.
    unsafe { Object::from_owned(ffi::PyType_FromModuleAndSpec(module, &raw mut spec, base)) }
}

/// The documentation of a class, as a slot.
pub const fn doc(doc: &'static CStr) -> ffi::PyType_Slot {
    slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast())
}

/// A slot of a class.
pub const fn slot(slot: c_int, value: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: value }
}

/// The end of a table of slots.
pub const NO_SLOT: ffi::PyType_Slot = slot(0, ptr::null_mut());

/// A function that takes nothing but its object, or the module.
pub const fn without(
    name: &'static CStr,
    function: ffi::PyCFunction,
    doc: &'static CStr,
) -> PyMethodDef {
    method(name, ffi::PyMethodDefPointer { PyCFunction: function }, ffi::METH_NOARGS, doc)
}

/// A function with one argument.
pub const fn with_one(
    name: &'static CStr,
    function: ffi::PyCFunction,
    doc: &'static CStr,
) -> PyMethodDef {
    method(name, ffi::PyMethodDefPointer { PyCFunction: function }, ffi::METH_O, doc)
}

/// A function with arguments by position alone.
pub const fn with_many(
    name: &'static CStr,
    function: ffi::PyCFunctionFast,
    doc: &'static CStr,
) -> PyMethodDef {
    method(name, ffi::PyMethodDefPointer { PyCFunctionFast: function }, ffi::METH_FASTCALL, doc)
}

/// A function with arguments by position and by name.
pub const fn with_named(
    name: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
    doc: &'static CStr,
) -> PyMethodDef {
    let function = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function };
    method(name, function, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, doc)
}

const fn method(
    name: &'static CStr,
    function: ffi::PyMethodDefPointer,
    flags: c_int,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef { ml_name: name.as_ptr(), ml_meth: function, ml_flags: flags, ml_doc: doc.as_ptr() }
}

/// A property, which can be set if there is a function for that.
pub const fn property(
    name: &'static CStr,
    get: ffi::getter,
    set: Option<ffi::setter>,
    doc: &'static CStr,
) -> PyGetSetDef {
    PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set,
        doc: doc.as_ptr(),
        closure: ptr::null_mut(),
    }
}

/// The end of a table of properties.
pub const NO_PROPERTY: PyGetSetDef = PyGetSetDef {
    name: ptr::null(),
    get: None,
    set: None,
    doc: ptr::null(),
    closure: ptr::null_mut(),
};

/// The end of a table of functions.
pub const NO_METHOD: PyMethodDef = PyMethodDef::zeroed();

/// Sorts the arguments of a function into its parameters, the first `required` of which must be given.
/// Borrowed; null for those that are not.
///
/// # Safety
///
/// The arguments are as Python gives them to a function of [`with_named`].
pub unsafe fn arguments<const COUNT: usize>(
    function: &str,
    parameters: [&str; COUNT],
    required: usize,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> Result<[*mut PyObject; COUNT]> {
    let positional = positional as usize;
    if names.is_null() && (required..=COUNT).contains(&positional) {
        // SAFETY: passed on to the caller: there are so many arguments.
        let argument = |index| unsafe { *given.add(index) };
        let place = |index| if index < positional { argument(index) } else { ptr::null_mut() };
        return Ok(array::from_fn(place));
    }
    // SAFETY: passed on to the caller.
    unsafe { sorted_by_name(function, parameters, required, given, positional, names) }
}

/// [`arguments`], where some are given by name, or not as many as there have to be.
///
/// # Safety
///
/// As there.
unsafe fn sorted_by_name<const COUNT: usize>(
    function: &str,
    parameters: [&str; COUNT],
    required: usize,
    given: *const *mut PyObject,
    positional: usize,
    names: *mut PyObject,
) -> Result<[*mut PyObject; COUNT]> {
    let mut sorted = [ptr::null_mut(); COUNT];
    if positional > COUNT {
        return Err(error::type_error(format!(
            "{function}() takes at most {COUNT} arguments, but {positional} were given"
        )));
    }
    // SAFETY: passed on to the caller: there are `positional` arguments, and behind them one for each name.
    unsafe {
        for (index, place) in sorted.iter_mut().enumerate().take(positional) {
            *place = *given.add(index);
        }
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
        for index in 0..named {
            let name = Object::from_borrowed(ffi::PyTuple_GetItem(names, index));
            let name = name.as_str()?;
            let place = parameters.iter().position(|parameter| *parameter == name);
            let place = place.ok_or_else(|| {
                error::type_error(format!("{function}() has no parameter '{name}'"))
            })?;
            if !sorted[place].is_null() {
                return Err(error::type_error(format!(
                    "{function}() got multiple values for its parameter '{name}'"
                )));
            }
            sorted[place] = *given.add(positional + index as usize);
        }
    }
    match sorted.iter().take(required).position(|argument| argument.is_null()) {
        None => Ok(sorted),
        Some(missing) => Err(error::type_error(format!(
            "{function}() is missing its argument '{}'",
            parameters[missing]
        ))),
    }
}

/// As [`arguments`], for a class that is called.
///
/// # Safety
///
/// The arguments are as Python gives them to `tp_new`.
pub unsafe fn arguments_of_new<const COUNT: usize>(
    class: &str,
    parameters: [&str; COUNT],
    required: usize,
    given: *mut PyObject,
    named: *mut PyObject,
) -> Result<[*mut PyObject; COUNT]> {
    // SAFETY: passed on to the caller: a tuple, and a dict with names, or null.
    unsafe {
        let positional = ffi::PyTuple_Size(given);
        let mut all: Vec<*mut PyObject> =
            (0..positional).map(|index| ffi::PyTuple_GetItem(given, index)).collect();
        if named.is_null() {
            return arguments(class, parameters, required, all.as_ptr(), positional, named);
        }
        let names = Object::from_owned(ffi::PySequence_Tuple(named))?;
        for index in 0..ffi::PyTuple_Size(names.as_ptr()) {
            let name = ffi::PyTuple_GetItem(names.as_ptr(), index);
            all.push(ffi::PyDict_GetItem(named, name));
        }
        arguments(class, parameters, required, all.as_ptr(), positional, names.as_ptr())
    }
}

/// Visits a reference for the collector; says what the visitor says.
///
/// # Safety
///
/// As in `tp_traverse`.
pub unsafe fn visit(object: *mut PyObject, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    if object.is_null() {
        return 0;
    }
    // SAFETY: passed on to the caller.
    unsafe { visit(object, arg) }
}

/// Whether an exception is set that says nothing but that there is no such thing.
pub fn or_none(result: Result<Object>) -> Option<Object> {
    result.map_err(Raised::clear).ok()
}

//! Functions and classes that are sent by their content, and the class `boc._boc.Definition`.
//!
//! What the content means, and when it holds, is known to the Python half: `boc/_definitions.py`.

use pyo3_ffi::{self as ffi, PyGetSetDef, PyObject, PyType_Slot, PyTypeObject};
use std::{
    ffi::c_void,
    ptr, slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    class::{self, NO_PROPERTY, NO_SLOT, Table, entered, property, slot},
    departure::Departure,
    error::{Raised, Result, type_error},
    interpreter::{self, Interpreter},
    object::Object,
    thing::Thing,
};

/// The content of a function or a class.
pub struct Definition {
    id: u64,
    data: Box<[u8]>,
    things: Box<[Thing]>,
    made_by: &'static Interpreter,
}

impl Definition {
    fn new(data: &[u8], things: Box<[Thing]>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Relaxed);
        Arc::new(Self { id, data: data.into(), things, made_by: interpreter::here() })
    }

    /// Unique in the process; who was made later has a higher one.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it was made in the interpreter that this thread is attached to.
    pub fn is_from_here(&self) -> bool {
        ptr::eq(self.made_by, interpreter::here())
    }
}

/// The definition that an object stands for; `None` if it is no `Definition`.
///
/// # Safety
///
/// The thread is attached and the object alive.
pub unsafe fn behind(object: *mut PyObject) -> Option<Arc<Definition>> {
    // SAFETY: passed on to the caller; the class is looked at first.
    unsafe {
        let is_one = interpreter::here().classes.definition.is_of(object);
        is_one.then(|| class::value::<Arc<Definition>>(object).clone())
    }
}

/// An object for a definition.
pub fn object(definition: &Arc<Definition>) -> Result<Object> {
    // SAFETY: the class is that of the thread's interpreter.
    unsafe { class::instance(interpreter::here().classes.definition.get(), definition.clone()) }
}

/// Makes the class, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller; the slots are those of an `Arc<Definition>`.
    unsafe { class::make::<Arc<Definition>>(module, c"boc._boc.Definition", 0, SLOTS.get()) }
}

static SLOTS: Table<PyType_Slot, 5> = Table::new([
    class::doc(
        c"Definition(data, things, /)\n--\n\n\
          A function or class as bytes, with what they refer to by an index.",
    ),
    slot(ffi::Py_tp_new, new as *mut c_void),
    slot(ffi::Py_tp_dealloc, class::dealloc::<Arc<Definition>> as *mut c_void),
    slot(ffi::Py_tp_getset, PROPERTIES.get().cast()),
    NO_SLOT,
]);

static PROPERTIES: Table<PyGetSetDef, 4> = Table::new([
    property(c"id", id, None, c"Unique in the process; grows."),
    property(c"data", data, None, c"The bytes."),
    property(c"things", things, None, c"A list of what they refer to."),
    NO_PROPERTY,
]);

unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter passes the class, a tuple, and a dictionary or null, all alive.
    entered(|| unsafe {
        if !keywords.is_null() && ffi::PyDict_Size(keywords) != 0
            || ffi::PyTuple_Size(arguments) != 2
        {
            return Err(type_error("Definition takes two arguments by position"));
        }
        let data = ffi::PyTuple_GetItem(arguments, 0);
        made(class, data, ffi::PyTuple_GetItem(arguments, 1))
    })
}

/// # Safety
///
/// The thread is attached; `class` is the class, of its interpreter; both objects are alive.
unsafe fn made(
    class: *mut PyTypeObject,
    data: *mut PyObject,
    things: *mut PyObject,
) -> Result<Object> {
    // SAFETY: passed on to the caller. The bytes and the items live during this, since nothing that
    // runs here could change the list.
    unsafe {
        if ffi::PyList_Check(things) == 0 {
            return Err(type_error("the things of a definition are a list"));
        }
        let (mut bytes, mut length) = (ptr::null_mut(), 0);
        if ffi::PyBytes_AsStringAndSize(data, &raw mut bytes, &raw mut length) != 0 {
            return Err(Raised::already());
        }
        let things: Vec<_> =
            (0..ffi::PyList_Size(things)).map(|index| ffi::PyList_GetItem(things, index)).collect();
        let mut departure = Departure::new();
        let things = Thing::all(&things, &mut departure)?;
        let _left = departure.go()?;
        let data = slice::from_raw_parts(bytes.cast::<u8>(), length as usize);
        class::instance(class, Definition::new(data, things))
    }
}

/// # Safety
///
/// `object` is an object of the class, as the interpreter passes it to its methods.
unsafe fn content<'a>(object: *mut PyObject) -> &'a Definition {
    // SAFETY: passed on to the caller.
    unsafe { class::value::<Arc<Definition>>(object) }
}

unsafe extern "C" fn id(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: the interpreter passes an object of the class.
    unsafe { ffi::PyLong_FromUnsignedLongLong(content(object).id) }
}

unsafe extern "C" fn data(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: the interpreter passes an object of the class; the bytes are copied.
    unsafe {
        let data = &content(object).data;
        ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), data.len() as ffi::Py_ssize_t)
    }
}

unsafe extern "C" fn things(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: the interpreter passes an object of the class.
    let content = unsafe { content(object) };
    entered(|| Object::list(content.things.iter().map(Thing::object)))
}

//! Functions and classes that are sent by their content, and the class `boc._boc.Definition`.
//!
//! What the content means, and when it holds, is known to the Python half: `boc/_definitions.py`.

use pyo3_ffi::{self as ffi, PyGetSetDef, PyObject, PyType_Slot, PyTypeObject};
use std::{
    ffi::{CStr, c_void},
    ptr, slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    bare::{self as class, Static},
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

/// An object of the class. The memory that an object gets is zeroed, so the pointer may be null.
#[repr(C)]
struct Instance {
    head: PyObject,
    /// From [`Arc::into_raw`].
    definition: *const Definition,
}

/// The definition that an object stands for; `None` if it is no `Definition`.
///
/// # Safety
///
/// The thread is attached and the object alive.
pub unsafe fn behind(object: *mut PyObject) -> Option<Arc<Definition>> {
    // SAFETY: passed on to the caller. An object of the class is an instance, whose pointer is null or
    // comes from an `Arc` that the instance owns.
    unsafe {
        if ffi::Py_TYPE(object) != interpreter::here().classes.definition.get() {
            return None;
        }
        let definition = (*object.cast::<Instance>()).definition;
        if definition.is_null() {
            return None;
        }
        Arc::increment_strong_count(definition);
        Some(Arc::from_raw(definition))
    }
}

/// An object for a definition.
pub fn object(definition: &Arc<Definition>) -> Result<Object> {
    // SAFETY: the class is that of the thread's interpreter.
    unsafe { instance(interpreter::here().classes.definition.get(), definition.clone()) }
}

/// # Safety
///
/// The thread is attached; `class` is the class, of its interpreter.
unsafe fn instance(class: *mut PyTypeObject, definition: Arc<Definition>) -> Result<Object> {
    // SAFETY: passed on to the caller. What is allocated is an instance, which gets the reference.
    unsafe {
        let object = class::allocate(class)?;
        (*object.cast::<Instance>()).definition = Arc::into_raw(definition);
        Object::from_owned(object)
    }
}

/// Adds the class to a module.
///
/// # Safety
///
/// The thread is attached, to an interpreter that is known; `module` is a module.
pub unsafe fn add_class(module: *mut PyObject) -> Result<()> {
    let slots = &mut [
        PyType_Slot { slot: ffi::Py_tp_new, pfunc: new as *mut c_void },
        PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dealloc as *mut c_void },
        ATTRIBUTES.slot(ffi::Py_tp_getset),
        PyType_Slot { slot: ffi::Py_tp_doc, pfunc: DOC.as_ptr().cast_mut().cast() },
        PyType_Slot { slot: 0, pfunc: ptr::null_mut() },
    ];
    // SAFETY: passed on to the caller. The functions below take objects of the class as instances.
    let class = unsafe { class::add::<Instance>(module, c"boc._boc.Definition", slots)? };
    interpreter::here().classes.definition.set(class);
    Ok(())
}

const DOC: &CStr = c"Definition(data, things, /)\n--\n\n\
    A function or class as bytes, with what they refer to by an index.";

static ATTRIBUTES: Static<[PyGetSetDef; 4]> = Static::new([
    attribute(c"id", id, c"Unique in the process; grows."),
    attribute(c"data", data, c"The bytes."),
    attribute(c"things", things, c"A list of what they refer to."),
    PyGetSetDef {
        name: ptr::null(),
        get: None,
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    },
]);

const fn attribute(name: &'static CStr, get: ffi::getter, doc: &'static CStr) -> PyGetSetDef {
    PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: doc.as_ptr(),
        closure: ptr::null_mut(),
    }
}

unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter passes the class, a tuple, and a dictionary or null, all alive.
    let made = unsafe {
        if !keywords.is_null() && ffi::PyDict_Size(keywords) != 0
            || ffi::PyTuple_Size(arguments) != 2
        {
            Err(type_error("Definition takes two arguments by position"))
        } else {
            let data = ffi::PyTuple_GetItem(arguments, 0);
            made(class, data, ffi::PyTuple_GetItem(arguments, 1))
        }
    };
    give(made)
}

/// # Safety
///
/// As for [`instance`]; both objects are alive.
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
        let things = Thing::all(&things)?;
        let data = slice::from_raw_parts(bytes.cast::<u8>(), length as usize);
        instance(class, Definition::new(data, things))
    }
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the interpreter does not use the object any more. It owned its definition, if it had one.
    unsafe {
        let definition = (*object.cast::<Instance>()).definition;
        if !definition.is_null() {
            drop(Arc::from_raw(definition));
        }
        class::free(object);
    }
}

/// # Safety
///
/// `object` is an object of the class, as the interpreter passes it to its methods.
unsafe fn content<'a>(object: *mut PyObject) -> &'a Definition {
    // SAFETY: passed on to the caller. Nobody gets to see an object before it has a definition.
    unsafe { &*(*object.cast::<Instance>()).definition }
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
    let list = || {
        // SAFETY: attached; the list takes a reference of its own.
        unsafe {
            let list = Object::from_owned(ffi::PyList_New(0))?;
            for thing in &content.things {
                if ffi::PyList_Append(list.as_ptr(), thing.object()?.as_ptr()) != 0 {
                    return Err(Raised::already());
                }
            }
            Ok(list)
        }
    };
    give(list())
}

/// What a function of the C API returns.
fn give(result: Result<Object>) -> *mut PyObject {
    result.map_or(ptr::null_mut(), Object::into_ptr)
}

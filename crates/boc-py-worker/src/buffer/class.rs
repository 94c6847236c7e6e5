//! The class `Buffer`.
//!
//! `views` says who may touch what is in an object:
//!
//! | `views` | |
//! |---|---|
//! | 0 or more | so many views; who has one may use the block; nobody changes `held` |
//! | [`MOVED`] | no block; or a [`Moving`](super::Moving) is about to take it, and to nobody else `held` belongs |
//!
//! With a GIL there is never a race for it; on a free-threaded build threads share such objects.

use pyo3_ffi::{
    self as ffi, Py_buffer, Py_ssize_t, PyGetSetDef, PyObject, PyType_Slot, PyTypeObject,
};
use std::{
    cell::UnsafeCell,
    ffi::{CStr, c_int, c_void},
    mem, ptr,
    sync::{
        Arc,
        atomic::{
            AtomicIsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use super::{
    block::Block,
    moving::Moving,
    passage::{Entrance, Passage, Use},
    source,
};
use crate::{
    class::{self, NO_PROPERTY, NO_SLOT, Table, entered, property, slot},
    ending,
    error::{Raised, Result, buffer_error, value_error},
    interpreter::here,
    object::Object,
};

const DOC: &CStr = c"Buffer(source, /, format=None)
--

Memory that moves between interpreters without being copied.

source is the number of items, which are zero then, or an object with the buffer protocol (bytes, array,
memoryview, a numpy array, ...), which is copied. format says what the items are: one of the native codes
of the module struct (B b c ? h H i I l L q Q n N e f d). Without it a copy has the format of its source,
and anything else has bytes. A copy with another format than its source has the same bytes. It has one
dimension, with the items of its source in the order of C; memoryview.cast() or numpy's reshape() give it
more.

It has the buffer protocol itself, so memoryview(buffer), numpy.frombuffer(buffer, ...) and
struct.pack_into() work on the memory itself; items and slices of it are those of a memoryview. The
memory begins at a multiple of 64 bytes.

Where a value goes to another interpreter, a Buffer in it moves: the memory goes along, and the
object that was left behind is empty, which each use of it tells by a ValueError. While there is
a memoryview, or something else that shows the memory, it cannot move (BufferError). So the
memory is at one place at a time. If what it is sent with cannot be sent, it stays. If a value is
looked at several times, as a result can be, it is the same Buffer each time in one interpreter, and
nobody else can have it as long as that object exists.";

pub(super) const MOVED: isize = -1;

/// What is in an object.
pub(super) struct Content {
    /// See the top.
    pub(super) views: AtomicIsize,
    pub(super) held: UnsafeCell<Option<Held>>,
}

pub(super) struct Held {
    pub(super) block: Arc<Block>,
    pub(super) usage: Use,
    /// Where the block came from; it goes back there when the object dies.
    pub(super) origin: Option<Arc<Passage>>,
    /// The number of items, which views have a pointer to.
    shape: Py_ssize_t,
    /// The size of an item, which views have a pointer to.
    stride: Py_ssize_t,
}

impl Held {
    fn new(block: Arc<Block>, usage: Use, origin: Option<Arc<Passage>>) -> Self {
        let shape = block.items() as Py_ssize_t;
        let stride = block.format().size() as Py_ssize_t;
        Self { block, usage, origin, shape, stride }
    }
}

/// Makes the class, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller; the slots are those of a `Content`.
    unsafe { class::make::<Content>(module, c"boc.Buffer", 0, SLOTS.get()) }
}

static SLOTS: Table<PyType_Slot, 12> = Table::new([
    class::doc(DOC),
    slot(ffi::Py_tp_new, new as *mut c_void),
    slot(ffi::Py_tp_dealloc, class::dealloc::<Content> as *mut c_void),
    slot(ffi::Py_tp_repr, repr as *mut c_void),
    slot(ffi::Py_tp_iter, iter as *mut c_void),
    slot(ffi::Py_tp_getset, PROPERTIES.get().cast()),
    slot(ffi::Py_mp_length, len as *mut c_void),
    slot(ffi::Py_mp_subscript, get_item as *mut c_void),
    slot(ffi::Py_mp_ass_subscript, set_item as *mut c_void),
    slot(ffi::Py_bf_getbuffer, get_buffer as *mut c_void),
    slot(ffi::Py_bf_releasebuffer, release_buffer as *mut c_void),
    NO_SLOT,
]);

static PROPERTIES: Table<PyGetSetDef, 4> = Table::new([
    property(c"nbytes", nbytes, None, c"The size in bytes."),
    property(c"format", format, None, c"What the items are, in the manner of the module struct."),
    property(c"readonly", readonly, None, c"Whether it came to where a cown is only read."),
    NO_PROPERTY,
]);

/// The `Buffer` for a block that has come, in this thread's interpreter, which is attached.
pub fn object(passage: &Arc<Passage>) -> Result<Object> {
    come(passage, Use::Write)
}

/// As [`object`], but others may have such a `Buffer` as well, and none of them can write.
pub fn object_to_read(passage: &Arc<Passage>) -> Result<Object> {
    come(passage, Use::Read)
}

/// As [`object`], but with memory of its own that has the same content; others may read or have the `Buffer`.
pub fn object_copied(passage: &Arc<Passage>) -> Result<Object> {
    let lent = object_to_read(passage)?;
    // SAFETY: attached, and the object is a `Buffer`.
    object(&unsafe { Moving::copy(lent.as_ptr()) }?)
}

fn come(passage: &Arc<Passage>, usage: Use) -> Result<Object> {
    // SAFETY: attached. The object is new, and nobody else has it.
    unsafe {
        let object = empty(here().classes.buffer.get())?;
        let interpreter = ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get());
        match passage.enter(usage, interpreter, object.as_ptr()) {
            Entrance::Block(block) => {
                fill(&object, Held::new(block, usage, Some(passage.clone())));
                Ok(object)
            }
            // It is alive: with the interpreter's GIL, which this thread has, it cannot die between
            // having no references and bringing its block back. Without a GIL it can.
            Entrance::Here(other) if cfg!(not(Py_GIL_DISABLED)) => Ok(Object::from_borrowed(other)),
            Entrance::Here(_) | Entrance::Busy => Err(value_error(
                "the Buffer in this value is in use by somebody else who has got it; \
                 whoever can write to one is alone",
            )),
            Entrance::Gone => Err(value_error(
                "the Buffer in this value has moved on, because whoever has got it has sent it away",
            )),
        }
    }
}

/// Permission to use the block of an object, in the manner of a view.
pub(super) struct Lease<'a>(&'a Content);

impl<'a> Lease<'a> {
    fn new(buffer: &'a Content) -> Result<Self> {
        let mut views = buffer.views.load(Relaxed);
        while views != MOVED {
            // `Acquire` pairs with the `Release` of who put the block there.
            match buffer.views.compare_exchange_weak(views, views + 1, Acquire, Relaxed) {
                Ok(_) => return Ok(Self(buffer)),
                Err(now) => views = now,
            }
        }
        Err(moved())
    }

    pub(super) fn held(&self) -> &'a Held {
        // SAFETY: nobody changes it meanwhile, see the top, and it is there.
        unsafe { (*self.0.held.get()).as_ref().expect("it was not moved") }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.views.fetch_sub(1, Release);
    }
}

#[cold]
pub(super) fn moved() -> Raised {
    value_error(
        "this Buffer is empty: its memory has moved with a value that was sent away; \
         use the Buffer that arrived there, inside of a behaviour that holds the cown",
    )
}

/// A new object without a block.
///
/// # Safety
///
/// The thread is attached; `class` is the class.
unsafe fn empty(class: *mut PyTypeObject) -> Result<Object> {
    let content = Content { views: AtomicIsize::new(MOVED), held: UnsafeCell::new(None) };
    // SAFETY: passed on to the caller.
    unsafe { class::instance(class, content) }
}

/// Gives an object its block.
///
/// # Safety
///
/// The object came from [`empty`], and nobody else has it yet.
unsafe fn fill(buffer: &Object, held: Held) {
    // SAFETY: passed on to the caller.
    unsafe {
        let content = content(buffer.as_ptr());
        *content.held.get() = Some(held);
        content.views.store(0, Release);
    }
}

/// # Safety
///
/// `object` is a `Buffer`, which is alive for so long.
pub(super) unsafe fn content<'a>(object: *mut PyObject) -> &'a Content {
    // SAFETY: passed on to the caller.
    unsafe { class::value(object) }
}

unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter calls this with a tuple, and with a dict or null.
    entered(|| unsafe {
        let (source, format) = source::arguments(arguments, keywords)?;
        let block = source::block(&source, format)?;
        let object = empty(class)?;
        fill(&object, Held::new(Arc::new(block), Use::Write, None));
        Ok(object)
    })
}

/// # Safety
///
/// `object` is a `Buffer`, which is alive for so long.
pub(super) unsafe fn lease<'a>(object: *mut PyObject) -> Result<Lease<'a>> {
    // SAFETY: passed on to the caller. Nobody has it exclusively before it dies.
    Lease::new(unsafe { content(object) })
}

impl Drop for Content {
    fn drop(&mut self) {
        // Views have references to the object, so there are none.
        if let Some(Held { block, origin: Some(origin), .. }) = self.held.get_mut().take() {
            origin.come_back(block);
        }
    }
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter calls this, as all that follow, for objects of the class, which live meanwhile.
    entered(|| match unsafe { lease(object) } {
        Ok(lease) => {
            let block = &lease.held().block;
            let (items, code) = (block.items(), block.format().code().to_string_lossy());
            Object::str(&format!("<boc.Buffer of {items} items of format '{code}'>"))
        }
        Err(raised) => {
            raised.clear();
            Object::str("<boc.Buffer, empty because it has moved>")
        }
    })
}

unsafe extern "C" fn nbytes(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: see `repr`.
    entered(|| Object::int(unsafe { lease(object) }?.held().block.bytes()))
}

unsafe extern "C" fn format(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    entered(|| {
        // SAFETY: see `repr`.
        let lease = unsafe { lease(object) }?;
        Object::str(&lease.held().block.format().code().to_string_lossy())
    })
}

unsafe extern "C" fn readonly(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: see `repr`; the result is a new reference.
    unsafe {
        lease(object).map_or(ptr::null_mut(), |lease| {
            ffi::PyBool_FromLong((lease.held().usage == Use::Read).into())
        })
    }
}

unsafe extern "C" fn len(object: *mut PyObject) -> Py_ssize_t {
    // SAFETY: see `repr`.
    unsafe { lease(object) }.map_or(-1, |lease| lease.held().shape)
}

/// A `memoryview`, which does what is asked of items and slices.
///
/// # Safety
///
/// The thread is attached; `object` is a `Buffer` and alive.
unsafe fn memoryview(object: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller; the result is a new reference, or null.
    unsafe { Object::from_owned(ffi::PyMemoryView_FromObject(object)) }
}

unsafe extern "C" fn iter(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: see `repr`; the result is a new reference, or null.
    entered(|| unsafe {
        let view = memoryview(object)?;
        Object::from_owned(ffi::PyObject_GetIter(view.as_ptr()))
    })
}

unsafe extern "C" fn get_item(object: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    // SAFETY: see `repr`; the result is a new reference, or null.
    entered(|| unsafe {
        let view = memoryview(object)?;
        Object::from_owned(ending::guarded(|| ffi::PyObject_GetItem(view.as_ptr(), key)))
    })
}

/// `value` is null where the item is to be deleted, which memoryviews refuse.
unsafe extern "C" fn set_item(
    object: *mut PyObject,
    key: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    // SAFETY: see `repr`.
    unsafe {
        memoryview(object).map_or(-1, |view| {
            let view = view.as_ptr();
            ending::guarded(|| {
                if value.is_null() {
                    ffi::PyObject_DelItem(view, key)
                } else {
                    ffi::PyObject_SetItem(view, key, value)
                }
            })
        })
    }
}

unsafe extern "C" fn get_buffer(
    object: *mut PyObject,
    view: *mut Py_buffer,
    flags: c_int,
) -> c_int {
    // SAFETY: see `repr`. `view` is for this function to fill. All that it points to lives as long as it: it
    // has a reference to the object, and while it exists nobody changes what the object holds.
    unsafe {
        (*view).obj = ptr::null_mut();
        let Ok(lease) = lease(object) else { return -1 };
        let held = lease.held();
        let asks = |flag| flags & flag == flag;
        let is_readonly = held.usage == Use::Read;
        if is_readonly && asks(ffi::PyBUF_WRITABLE) {
            let _raised = buffer_error("this Buffer is read-only, because its cown is only read");
            return -1;
        }
        (*view).buf = held.block.memory().cast();
        (*view).len = held.block.bytes() as Py_ssize_t;
        (*view).itemsize = held.stride;
        (*view).readonly = is_readonly.into();
        (*view).ndim = 1;
        (*view).format = if asks(ffi::PyBUF_FORMAT) {
            held.block.format().code().as_ptr().cast_mut()
        } else {
            ptr::null_mut()
        };
        (*view).shape =
            if asks(ffi::PyBUF_ND) { (&raw const held.shape).cast_mut() } else { ptr::null_mut() };
        (*view).strides = if asks(ffi::PyBUF_STRIDES) {
            (&raw const held.stride).cast_mut()
        } else {
            ptr::null_mut()
        };
        (*view).suboffsets = ptr::null_mut();
        (*view).internal = ptr::null_mut();
        (*view).obj = Object::from_borrowed(object).into_ptr();
        // The view has it from now on.
        mem::forget(lease);
        0
    }
}

unsafe extern "C" fn release_buffer(object: *mut PyObject, _: *mut Py_buffer) {
    // SAFETY: see `repr`. The interpreter calls this once for each view that was filled, which had a lease.
    unsafe { drop(Lease(content(object))) };
}

//! The class, as Python calls it.

use pyo3_ffi::{self as ffi, PyMethodDef, PyObject, PyTypeObject};
use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    mem,
};

use super::{Cown, behind, hash, number};
use crate::{
    class::{
        self, NO_METHOD, NO_PROPERTY, NO_SLOT, Table, WEAKLY, entered, entered_for_status,
        property, slot, with_many, with_named, with_one, without,
    },
    error, interpreter,
    object::{self, Object},
    patience, pool,
};

/// Makes the class `Cown`, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn make_class(module: *mut PyObject) -> error::Result<Object> {
    // For `PinnedCown`; others are refused by `__init_subclass__`.
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    // SAFETY: passed on to the caller; the slots are those of a `Cown`.
    unsafe { class::make::<Cown>(module, c"boc.Cown", flags, SLOTS.get()) }
}

/// Makes the class `PinnedCown`, which belongs to the caller, and is derived from `Cown`.
///
/// # Safety
///
/// As for [`make_class`]; `cown` is what that has made.
pub unsafe fn make_pinned_class(module: *mut PyObject, cown: &Object) -> error::Result<Object> {
    static SLOTS: Table<ffi::PyType_Slot, 6> = Table::new([
        class::doc(
            c"PinnedCown(value)\n--\n\nA cown whose value stays in the main thread of the main interpreter, as \
              objects of a user interface do.\n\nBehaviours that name one run there: in `pump()`, and while the \
              main thread waits for behaviours. Made in the\nmain interpreter alone.",
        ),
        slot(ffi::Py_tp_new, new_pinned as *mut c_void),
        // Which are not inherited by a class that has none of them.
        slot(ffi::Py_tp_dealloc, class::dealloc::<Cown> as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        NO_SLOT,
    ]);
    let flags = ffi::Py_TPFLAGS_HAVE_GC;
    // SAFETY: passed on to the caller; the slots are those of a `Cown`.
    unsafe {
        let (name, slots) = (c"boc.PinnedCown", SLOTS.get());
        class::make_derived::<Cown>(module, name, flags, slots, cown.as_ptr())
    }
}

thread_local! {
    /// How many modules this thread, that of a worker, is importing whose cowns are those of the program.
    static IMPORTING: Cell<usize> = const { Cell::new(0) };
}

/// Says that this thread begins, or ends, to import a module whose cowns are replaced by those of the program.
pub fn set_importing(begins: bool) {
    let count = IMPORTING.get();
    IMPORTING.set(if begins { count + 1 } else { count.saturating_sub(1) });
}

static SLOTS: Table<ffi::PyType_Slot, 13> = Table::new([
    class::doc(
        c"Cown(value)\n--\n\nA concurrently owned value: reached only by the behaviour that holds the cown.\n\n\
          Schedule a behaviour over it with `when`, and use `.value` inside of that.",
    ),
    slot(ffi::Py_tp_new, new as *mut c_void),
    slot(ffi::Py_tp_dealloc, class::dealloc::<Cown> as *mut c_void),
    slot(ffi::Py_tp_traverse, traverse as *mut c_void),
    slot(ffi::Py_tp_clear, clear as *mut c_void),
    slot(ffi::Py_tp_methods, METHODS.get().cast()),
    slot(ffi::Py_tp_getset, GETTERS.get().cast()),
    slot(ffi::Py_tp_members, WEAKLY.get().cast()),
    slot(ffi::Py_tp_richcompare, compare as *mut c_void),
    slot(ffi::Py_tp_hash, hash_of as *mut c_void),
    slot(ffi::Py_tp_repr, repr as *mut c_void),
    slot(ffi::Py_am_await, awaited as *mut c_void),
    NO_SLOT,
]);

static METHODS: Table<PyMethodDef, 14> = Table::new([
    without(
        c"acquire",
        acquire,
        c"acquire($self, /)\n--\n\nWaits until the calling thread holds the cown. Not inside of a behaviour.",
    ),
    without(
        c"release",
        release,
        c"release($self, /)\n--\n\nReleases a cown that the calling thread acquired.",
    ),
    without(c"__enter__", enter, c"__enter__($self, /)\n--\n\nAcquires the cown; gives its value."),
    with_many(
        c"__exit__",
        exit,
        c"__exit__($self, exc_type, exc_value, traceback, /)\n--\n\nReleases the cown.",
    ),
    without(
        c"unwrap",
        unwrap,
        c"unwrap($self, /)\n--\n\nTakes the value out of the cown, which holds `None` afterwards; or raises the \
          exception that\nthe body raised. Only when no behaviour is running or waiting.",
    ),
    with_named(
        c"result",
        result,
        c"result($self, /, timeout=None)\n--\n\nWaits until the behaviour whose result this is has ended. \
          Returns what its body returned, or\nraises what it raised. What unwrap() took is not there any more, \
          and that is a RuntimeError.",
    ),
    without(
        c"done",
        done,
        c"done($self, /)\n--\n\nWhether the behaviour whose result this is has ended.",
    ),
    without(
        c"cancel",
        cancel,
        c"cancel($self, /)\n--\n\nCancels the behaviour whose result this is, unless it has started; says whether \
          it did.\nThen its result is a concurrent.futures.CancelledError.",
    ),
    with_one(
        c"add_done_callback",
        add_done_callback,
        c"add_done_callback($self, callback, /)\n--\n\nHas `callback(self)` called, on a thread of its own, when \
          the behaviour whose result this is has\nended; at once if it has. Not inside of a behaviour.",
    ),
    without(
        c"future",
        future,
        c"future($self, /)\n--\n\nA `concurrent.futures.Future` for what the body returns or raises. To cancel it \
          cancels the\nbehaviour. Not inside of a behaviour.",
    ),
    without(
        c"__reduce__",
        reduce,
        c"__reduce__($self, /)\n--\n\nA cown is a place, not a value: a copy would be another place.",
    ),
    {
        let mut generic = with_one(c"__class_getitem__", generic, c"See PEP 585");
        generic.ml_flags |= ffi::METH_CLASS;
        generic
    },
    {
        let doc = c"Nobody can derive from a class of cowns.";
        let mut derived = with_many(c"__init_subclass__", derived, doc);
        derived.ml_flags |= ffi::METH_CLASS;
        derived
    },
    NO_METHOD,
]);

static GETTERS: Table<ffi::PyGetSetDef, 4> = Table::new([
    property(
        c"value",
        value,
        Some(set_value),
        c"The value. Only for the behaviour, or the thread, that holds the cown.",
    ),
    property(
        c"exception",
        exception,
        Some(set_exception),
        c"Whether the value is an exception that a body raised and nobody has dealt with.",
    ),
    property(c"acquired", acquired, None, c"Whether the calling thread holds the cown."),
    NO_PROPERTY,
]);

/// The cown behind `self` of a method.
///
/// # Safety
///
/// The object is of the class, and lives as long as the result is used.
unsafe fn this<'a>(object: *mut PyObject) -> &'a Cown {
    // SAFETY: passed on to the caller.
    unsafe { class::value(object) }
}

unsafe extern "C" fn new(
    _: *mut PyTypeObject,
    arguments: *mut PyObject,
    named: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by Python; what it passes is alive during the call.
    entered(|| unsafe {
        let [value] = class::arguments_of_new("Cown", ["value"], 1, arguments, named)?;
        Cown::new(Object::from_borrowed(value)).into_object()
    })
}

unsafe extern "C" fn new_pinned(
    _: *mut PyTypeObject,
    arguments: *mut PyObject,
    named: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by Python; what it passes is alive during the call.
    entered(|| unsafe {
        let [value] = class::arguments_of_new("PinnedCown", ["value"], 1, arguments, named)?;
        if interpreter::here().is_main() {
            return Cown::pinned(Object::from_borrowed(value)).into_object();
        }
        if IMPORTING.get() > 0 {
            // Nobody sees it: when the module is there, its cowns are those of the program.
            return Cown::pinned_elsewhere().into_object();
        }
        Err(error::runtime_error(
            "a PinnedCown can be made in the main interpreter alone, where its value stays: make it there, and \
             pass it to the behaviour",
        ))
    })
}

unsafe extern "C" fn derived(
    class: *mut PyObject,
    _: *mut *mut PyObject,
    _: ffi::Py_ssize_t,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python with the class that is being made, which is alive.
        let base = unsafe { Object::from_borrowed(class) }.get(c"__base__")?;
        let name = base.get(c"__name__")?.text();
        Err(error::type_error(format!("type 'boc.{name}' is not an acceptable base type")))
    })
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector, with an object of the class. If nobody else has a reference to the
    // cown, nobody holds it, and no thread of the interpreter runs that could come to use it by this object.
    unsafe {
        let stop = class::visit(ffi::Py_TYPE(object).cast(), visit, arg);
        match this(object).contents_if_sole_owner() {
            // What lives in a worker's interpreter is packed sooner or later.
            Some(contents) if stop == 0 && this(object).home.is_main() => {
                (*contents).traverse(visit, arg)
            }
            _ => stop,
        }
    }
}

unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    entered_for_status(|| {
        // SAFETY: as in `traverse`; what is unreachable is used by the collector alone.
        unsafe {
            if let Some(contents) = this(object).contents_if_sole_owner()
                && this(object).home.is_main()
            {
                drop(mem::take(&mut *contents));
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn value(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: called by Python with an object of the class, as in all of these functions.
    entered(|| unsafe { this(object) }.value())
}

unsafe extern "C" fn set_value(
    object: *mut PyObject,
    value: *mut PyObject,
    _: *mut c_void,
) -> c_int {
    entered_for_status(|| {
        if value.is_null() {
            return Err(error::attribute_error(
                "the value of a cown cannot be deleted: set it to None",
            ));
        }
        // SAFETY: as above; the value is alive during the call.
        unsafe { this(object).set_value(Object::from_borrowed(value)) }
    })
}

unsafe extern "C" fn exception(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    entered(|| {
        // SAFETY: as above; the result is a new reference.
        unsafe { Object::from_owned(ffi::PyBool_FromLong(this(object).exception()?.into())) }
    })
}

unsafe extern "C" fn set_exception(
    object: *mut PyObject,
    value: *mut PyObject,
    _: *mut c_void,
) -> c_int {
    // SAFETY: as above.
    entered_for_status(|| unsafe {
        if value.is_null() {
            return Err(error::attribute_error(
                "the exception flag of a cown cannot be deleted: set it to False",
            ));
        }
        match ffi::PyObject_IsTrue(value) {
            -1 => Err(error::Raised::already()),
            truth => this(object).set_exception(truth != 0),
        }
    })
}

unsafe extern "C" fn acquired(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: as above; the result is a new reference.
    unsafe { ffi::PyBool_FromLong(this(object).is_acquired().into()) }
}

unsafe extern "C" fn acquire(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe { this(object) }.acquire().map(|()| Object::none()))
}

unsafe extern "C" fn release(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe { this(object) }.release().map(|()| Object::none()))
}

unsafe extern "C" fn enter(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe { this(object) }.enter())
}

unsafe extern "C" fn exit(
    object: *mut PyObject,
    _: *mut *mut PyObject,
    _: ffi::Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe { this(object) }.release().map(|()| Object::none()))
}

unsafe extern "C" fn unwrap(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe { this(object) }.unwrap())
}

unsafe extern "C" fn result(
    object: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as above; the arguments are alive during the call.
    entered(|| unsafe {
        let [timeout] = class::arguments("result", ["timeout"], 0, given, positional, names)?;
        let timeout = if timeout.is_null() { None } else { patience::timeout(timeout)? };
        this(object).result(timeout)
    })
}

unsafe extern "C" fn done(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above; the result is a new reference.
    entered(|| unsafe { Object::from_owned(ffi::PyBool_FromLong(this(object).is_done()?.into())) })
}

unsafe extern "C" fn cancel(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above; the result is a new reference.
    entered(|| unsafe { Object::from_owned(ffi::PyBool_FromLong(this(object).cancel()?.into())) })
}

unsafe extern "C" fn add_done_callback(
    object: *mut PyObject,
    callback: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as above; the argument is alive during the call.
    entered(|| unsafe {
        if ffi::PyCallable_Check(callback) == 0 {
            return Err(error::type_error(format!(
                "add_done_callback() wants a callable, not an object of type {}",
                object::class_name(callback)
            )));
        }
        let (cown, callback) = (Object::from_borrowed(object), Object::from_borrowed(callback));
        this(object).is_done()?;
        refuse_to_wait("add_done_callback()")?;
        this(object).add_done_callback(&cown, &callback).map(|()| Object::none())
    })
}

/// Nobody waits inside of a behaviour; and callbacks are called by a thread of the main interpreter, so there are none
/// in that of a worker, where a body may have started a thread.
fn refuse_to_wait(what: &str) -> error::Result<()> {
    pool::refuse_inside_behaviour(what, "schedule over the result, @when(result)")?;
    if interpreter::here().is_main() {
        return Ok(());
    }
    Err(error::runtime_error(format!(
        "{what} works in the interpreter of the program alone, not in that of a worker: wait by result() in \
         this thread, or schedule over the result, @when(result)"
    )))
}

unsafe extern "C" fn future(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe {
        this(object).is_done()?;
        refuse_to_wait("future()")?;
        object::call("boc._awaiting", c"future", [&Object::from_borrowed(object)])
    })
}

unsafe extern "C" fn awaited(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe {
        if !this(object).is_done()? {
            refuse_to_wait("await")?;
            this(object).check_scheduled()?;
        }
        object::call("boc._awaiting", c"awaited", [&Object::from_borrowed(object)])
    })
}

unsafe extern "C" fn reduce(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        Err(error::type_error(
            "a Cown cannot be pickled or copied: pass the Cown itself, or the value of a behaviour \
             over it",
        ))
    })
}

unsafe extern "C" fn generic(class: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above; the result is a new reference, or null.
    entered(|| unsafe { Object::from_owned(ffi::Py_GenericAlias(class, key)) })
}

unsafe extern "C" fn compare(
    object: *mut PyObject,
    other: *mut PyObject,
    how: c_int,
) -> *mut PyObject {
    // SAFETY: as above; the other one is any object. The result is a new reference.
    unsafe {
        let Some(other) = behind(other) else {
            let not_implemented = ffi::Py_NotImplemented();
            ffi::Py_INCREF(not_implemented);
            return not_implemented;
        };
        let (this, other) = (number(this(object)), number(other));
        let holds = match how {
            ffi::Py_EQ => this == other,
            ffi::Py_NE => this != other,
            ffi::Py_LT => this < other,
            ffi::Py_LE => this <= other,
            ffi::Py_GT => this > other,
            _ => this >= other,
        };
        ffi::PyBool_FromLong(holds.into())
    }
}

unsafe extern "C" fn hash_of(object: *mut PyObject) -> ffi::Py_hash_t {
    // SAFETY: as above.
    hash(unsafe { this(object) })
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| Object::str(&unsafe { this(object) }.repr()))
}

//! One Python object for each cown, also for those that come back from an extension.
//!
//! An object is entered here when its cown first goes to an extension, so that it is found when the cown
//! comes back. It is referred to weakly; when it ends it is taken out.

use boc_core::raw::{AnyCown, CownPtr};
use boc_py_worker::{
    contents::Contents,
    cown::{self, Cown},
};
use pyo3::{
    prelude::*,
    sync::MutexExt,
    types::{PyWeakrefMethods, PyWeakrefReference},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    convert,
    extension::native::{Pointer, View},
};

type Weak = Py<PyWeakrefReference>;

/// Nothing that runs Python code, or waits, is done while this is locked; except for a fork, for which
/// Python stops all threads that are attached.
static OBJECTS: Mutex<BTreeMap<CownPtr, Weak>> = Mutex::new(BTreeMap::new());

/// Detaches while it waits, so that nobody waits for this thread meanwhile who has the objects.
fn objects(py: Python<'_>) -> MutexGuard<'static, BTreeMap<CownPtr, Weak>> {
    OBJECTS.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}

/// What an object has that is entered.
pub(crate) struct Known {
    address: CownPtr,
    weak: Weak,
}

impl Drop for Known {
    fn drop(&mut self) {
        Python::attach(|py| {
            let mut objects = objects(py);
            // The cown may have another object by now, or its place may be that of another cown.
            let entered = objects.get(&self.address);
            let old = match entered.is_some_and(|weak| weak.is(&self.weak)) {
                true => objects.remove(&self.address),
                false => None,
            };
            drop(objects);
            drop(old);
        });
    }
}

/// Enters the object of a cown that goes to an extension.
pub(crate) fn enter(object: &Bound<'_, PyAny>, cown: &Cown) -> PyResult<()> {
    if cown.known().get().is_some() {
        return Ok(());
    }
    let weak = PyWeakrefReference::new(object)?.unbind();
    let py = object.py();
    let mut objects = objects(py);
    // Another thread may have been faster.
    let old = match cown.known().get() {
        None => put(py, &mut objects, cown, &weak),
        Some(_) => None,
    };
    drop(objects);
    drop(old);
    Ok(())
}

/// Enters an object that is not entered. Gives what it replaces, to be dropped when the objects are not
/// locked any more.
fn put(
    py: Python<'_>,
    objects: &mut BTreeMap<CownPtr, Weak>,
    cown: &Cown,
    weak: &Weak,
) -> Option<Weak> {
    let address = cown.address();
    let old = objects.insert(address, weak.clone_ref(py));
    // In the same step, so that an object has this from the moment at which others find it, and once.
    let known = cown.known().set(Box::new(Known { address, weak: weak.clone_ref(py) }));
    assert!(known.is_ok(), "an object is entered once");
    old
}

/// The cown behind an object, if it is one.
pub(crate) fn cown_behind<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Cown> {
    // SAFETY: attached, and alive as long as it is borrowed.
    unsafe { cown::behind(object.as_ptr()) }
}

/// An object for a cown that comes from an extension.
fn fresh<'py>(
    py: Python<'py>,
    cown: AnyCown,
    view: Option<&'static View>,
) -> PyResult<Bound<'py, PyAny>> {
    let cown = match cown.downcast::<Contents>() {
        Ok(cown) => Cown::of(cown),
        Err(cown) => Cown::native(Box::new(Pointer::new(cown, view))),
    };
    convert::object(py, cown.into_object()).map(|object| object.into_bound(py))
}

/// The object of a cown that comes from an extension, which is made if there is none.
pub(crate) fn object(
    py: Python<'_>,
    cown: AnyCown,
    view: Option<&'static View>,
) -> PyResult<Py<PyAny>> {
    let address = CownPtr::from(&cown);
    let mut made = None;
    loop {
        let seen = objects(py).get(&address).map(|weak| weak.clone_ref(py));
        let alive = seen.as_ref().and_then(|weak| weak.bind(py).upgrade());
        if let Some(object) = alive {
            return Ok(object.unbind());
        }
        let object = match made.take() {
            Some(object) => object,
            None => fresh(py, cown.clone(), view)?,
        };
        let weak = PyWeakrefReference::new(&object)?.unbind();
        let mut objects = objects(py);
        let entered = objects.get(&address);
        let unchanged = match (entered, &seen) {
            (Some(entered), Some(seen)) => entered.is(seen),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if unchanged && let Some(behind) = cown_behind(&object) {
            let old = put(py, &mut objects, behind, &weak);
            drop(objects);
            drop(old);
            return Ok(object.unbind());
        }
        // Another thread was faster: look at its object.
        drop(objects);
        made = Some(object);
    }
}

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, BTreeMap<CownPtr, Weak>>>> =
        const { RefCell::new(None) };
}

/// Called before a fork, so that the child does not find the objects locked by a thread that is not there.
#[pyfunction]
pub(crate) fn hold_objects(py: Python<'_>) {
    HELD.set(Some(objects(py)));
}

/// Called after a fork, in parent and child.
#[pyfunction]
pub(crate) fn let_go_of_objects() {
    HELD.set(None);
}

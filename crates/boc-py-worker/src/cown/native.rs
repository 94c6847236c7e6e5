//! Cowns that an extension has made, as Python sees them.

use boc_core::raw::AnyCown;
use std::any::Any;

use crate::{
    error::{self, Raised, Result},
    object::Object,
};

/// A cown whose value is no object of Python.
pub trait Native: Any + Send + Sync {
    /// The cown of the engine.
    fn cown(&self) -> &AnyCown;

    /// The value as the extension shows it.
    ///
    /// # Safety
    ///
    /// The calling thread holds the cown.
    unsafe fn get(&self) -> Result<Object>;

    /// Has the extension take a value from Python.
    ///
    /// # Safety
    ///
    /// The calling thread holds the cown.
    unsafe fn set(&self, value: &Object) -> Result<()>;
}

/// A cown of which nothing is known here.
struct Unknown(AnyCown);

pub(super) fn unknown(cown: AnyCown) -> Box<dyn Native> {
    Box::new(Unknown(cown))
}

impl Native for Unknown {
    fn cown(&self) -> &AnyCown {
        &self.0
    }

    unsafe fn get(&self) -> Result<Object> {
        Err(not_here())
    }

    unsafe fn set(&self, _: &Object) -> Result<()> {
        Err(not_here())
    }
}

fn not_here() -> Raised {
    error::runtime_error(
        "the value of this cown belongs to an extension, which uses objects of the main interpreter: \
         start with boc.start(backend=\"direct\")",
    )
}

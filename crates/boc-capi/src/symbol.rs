//! What a function is called, for reports, and where it lies.

use std::ffi::c_void;

/// The name of a function and the file in which it is, or where in that file it lies, which `addr2line` takes.
#[cfg(unix)]
pub(crate) fn describe(function: *const c_void) -> String {
    use std::{ffi::CStr, path::Path};

    let Some(place) = place(function).filter(|place| !place.dli_fname.is_null()) else {
        return format!("{function:p}");
    };
    // SAFETY: the names belong to a library that is loaded, since the function is going to be called.
    let (file, name) = unsafe {
        let is_it = !place.dli_sname.is_null() && place.dli_saddr.cast_const() == function;
        let name = is_it.then(|| CStr::from_ptr(place.dli_sname).to_string_lossy());
        (CStr::from_ptr(place.dli_fname).to_string_lossy(), name)
    };
    let file = Path::new(&*file).file_name().map_or(file.clone(), |name| name.to_string_lossy());
    match name {
        Some(name) => format!("{name} in {file}"),
        None => format!("{file}+{:#x}", function.addr() - place.dli_fbase.addr()),
    }
}

/// The library in which an address lies, and what lies there.
#[cfg(unix)]
pub(crate) fn place(address: *const c_void) -> Option<libc::Dl_info> {
    // SAFETY: zeros are values of all fields, and any address can be asked for.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &mut info) != 0).then_some(info)
    }
}

/// The address of a function.
#[cfg(not(unix))]
pub(crate) fn describe(function: *const c_void) -> String {
    format!("{function:p}")
}

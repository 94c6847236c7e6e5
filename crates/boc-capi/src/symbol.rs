//! What a function is called, for reports.

use std::ffi::c_void;

/// The name of a function and the file in which it is, or where in that file it lies, which `addr2line` takes.
#[cfg(unix)]
pub(crate) fn describe(function: *const c_void) -> String {
    use std::{ffi::CStr, mem, path::Path};

    // SAFETY: zeros are values of all fields, and any address can be asked for. The names belong to a library
    // that is loaded, since the function is going to be called.
    let (file, name, base) = unsafe {
        let mut info: libc::Dl_info = mem::zeroed();
        if libc::dladdr(function, &mut info) == 0 || info.dli_fname.is_null() {
            return format!("{function:p}");
        }
        let is_it = !info.dli_sname.is_null() && info.dli_saddr.cast_const() == function;
        let name = is_it.then(|| CStr::from_ptr(info.dli_sname).to_string_lossy());
        (CStr::from_ptr(info.dli_fname).to_string_lossy(), name, info.dli_fbase)
    };
    let file = Path::new(&*file).file_name().map_or(file.clone(), |name| name.to_string_lossy());
    match name {
        Some(name) => format!("{name} in {file}"),
        None => format!("{file}+{:#x}", function.addr() - base.addr()),
    }
}

/// The address of a function.
#[cfg(not(unix))]
pub(crate) fn describe(function: *const c_void) -> String {
    format!("{function:p}")
}

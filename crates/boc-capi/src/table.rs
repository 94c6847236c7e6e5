//! The functions of the library as a table, for code that is loaded into a program which contains the
//! library, and does not link it.

use std::ffi::c_void;

/// Calls a macro with the names of all functions, in the order in which they were added. New ones are
/// added at the end, and none goes: the table of an older header is the beginning of that of a newer
/// library.
macro_rules! functions {
    ($each:ident) => {
        $each! {
            boc_abi_version boc_version boc_last_error boc_status_name
            boc_cown_new boc_cown_clone boc_cown_release boc_cown_same boc_cown_downgrade
            boc_weak_cown_upgrade boc_weak_cown_clone boc_weak_cown_release boc_live_cowns
            boc_when
            boc_body_count boc_body_cown boc_body_set_result boc_body_fail boc_body_set_value
            boc_body_take boc_body_outcome boc_inside_behaviour
            boc_result_wait boc_result_status boc_result_error boc_result_take boc_result_cancel
            boc_result_on_finished boc_result_cown boc_result_clone boc_result_release
            boc_batch_new boc_batch_when boc_batch_len boc_batch_schedule boc_batch_release
            boc_promise_new boc_promise_fulfil boc_promise_fail boc_promise_is_cancelled
            boc_promise_release
            boc_scope_new boc_scope_executor boc_scope_close
            boc_executor_current boc_executor_clone boc_executor_release boc_executor_new
            boc_ready_run boc_ready_cancel
            boc_pump_new boc_pump_executor boc_pump_run boc_pump_release
            boc_runtime_new boc_runtime_default boc_runtime_clone boc_runtime_release
            boc_runtime_executor boc_runtime_quiesce boc_runtime_shutdown boc_runtime_stop
            boc_runtime_run_worker boc_runtime_workers boc_runtime_in_flight boc_runtime_stats
            boc_runtime_report boc_string_free
        }
    };
}

macro_rules! names {
    ($($name:ident)*) => { &[$(stringify!($name)),*] };
}

macro_rules! pointers {
    ($($name:ident)*) => { [$(crate::$name as *const c_void),*] };
}

/// The names of the functions in their order in the table.
pub const NAMES: &[&str] = functions!(names);

/// The table, as `boc_table` of `boc/boc_table.h` declares it.
#[repr(C)]
pub struct Table {
    /// Its size in bytes.
    size: usize,
    /// What `boc_abi_version` gives.
    version: usize,
    functions: [*const c_void; NAMES.len()],
}

// SAFETY: it is never changed, and what it points to are functions.
unsafe impl Sync for Table {}

/// The table of this library.
pub static TABLE: Table = Table {
    size: size_of::<Table>(),
    version: crate::ABI_VERSION as usize,
    functions: functions!(pointers),
};

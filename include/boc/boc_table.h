/*
 * The functions of boc.h as a table, for code that is loaded into a program which contains the library, and
 * does not link it. Include boc_python.h instead of this.
 *
 * This file is generated.
 */
#ifndef BOC_BOC_TABLE_H
#define BOC_BOC_TABLE_H

#include "boc.h"

/** Functions are only ever added, at the end; `size` says how many there are. */
typedef struct boc_table {
    /** The size in bytes of the table that the program has. */
    size_t size;
    /** What boc_abi_version() gives there. */
    size_t version;
    uint32_t (*boc_abi_version)(void);
    const char *(*boc_version)(void);
    const char *(*boc_last_error)(void);
    const char *(*boc_status_name)(int32_t status);
    boc_status (*boc_cown_new)(void *value, boc_destroy_fn destroy_value, struct boc_cown **cown);
    struct boc_cown *(*boc_cown_clone)(const struct boc_cown *cown);
    boc_status (*boc_cown_release)(struct boc_cown *cown);
    bool (*boc_cown_same)(const struct boc_cown *a, const struct boc_cown *b);
    struct boc_weak_cown *(*boc_cown_downgrade)(const struct boc_cown *cown);
    boc_status (*boc_weak_cown_upgrade)(const struct boc_weak_cown *weak, struct boc_cown **cown);
    struct boc_weak_cown *(*boc_weak_cown_clone)(const struct boc_weak_cown *weak);
    boc_status (*boc_weak_cown_release)(struct boc_weak_cown *weak);
    uint64_t (*boc_live_cowns)(void);
    boc_status (*boc_when)(const struct boc_executor *executor, const struct boc_request *requests, size_t count, boc_body_fn body, void *env, boc_destroy_fn destroy_env, struct boc_result **result);
    size_t (*boc_body_count)(const struct boc_body *body);
    const struct boc_cown *(*boc_body_cown)(struct boc_body *body, size_t index);
    boc_status (*boc_body_set_result)(struct boc_body *body, void *value, boc_destroy_fn destroy_value);
    boc_status (*boc_body_fail)(struct boc_body *body, const char *message);
    boc_status (*boc_body_set_value)(struct boc_body *body, size_t index, void *value, boc_destroy_fn destroy_value);
    boc_status (*boc_body_take)(struct boc_body *body, size_t index, void **value);
    boc_status (*boc_body_outcome)(struct boc_body *body, size_t index, const char **message);
    bool (*boc_inside_behaviour)(void);
    boc_status (*boc_result_wait)(const struct boc_result *result, uint64_t timeout_ns);
    boc_status (*boc_result_status)(const struct boc_result *result);
    const char *(*boc_result_error)(const struct boc_result *result);
    boc_status (*boc_result_take)(const struct boc_result *result, uint64_t timeout_ns, void **value);
    boc_status (*boc_result_cancel)(const struct boc_result *result, bool *cancelled);
    boc_status (*boc_result_on_finished)(const struct boc_result *result, boc_notify_fn notify, void *env, boc_destroy_fn destroy_env);
    const struct boc_cown *(*boc_result_cown)(const struct boc_result *result);
    struct boc_result *(*boc_result_clone)(const struct boc_result *result);
    boc_status (*boc_result_release)(struct boc_result *result);
    boc_status (*boc_batch_new)(const struct boc_executor *executor, struct boc_batch **batch);
    boc_status (*boc_batch_when)(struct boc_batch *batch, const struct boc_request *requests, size_t count, boc_body_fn body, void *env, boc_destroy_fn destroy_env);
    size_t (*boc_batch_len)(const struct boc_batch *batch);
    boc_status (*boc_batch_schedule)(struct boc_batch *batch, struct boc_result **results, size_t capacity);
    boc_status (*boc_batch_release)(struct boc_batch *batch);
    boc_status (*boc_promise_new)(struct boc_promise **promise, struct boc_result **result);
    boc_status (*boc_promise_fulfil)(struct boc_promise *promise, void *value, boc_destroy_fn destroy_value);
    boc_status (*boc_promise_fail)(struct boc_promise *promise, const char *message);
    bool (*boc_promise_is_cancelled)(const struct boc_promise *promise);
    boc_status (*boc_promise_release)(struct boc_promise *promise);
    boc_status (*boc_scope_new)(const struct boc_executor *executor, struct boc_scope **scope);
    const struct boc_executor *(*boc_scope_executor)(const struct boc_scope *scope);
    boc_status (*boc_scope_close)(struct boc_scope *scope, struct boc_result **ended);
    boc_status (*boc_executor_current)(struct boc_executor **executor);
    struct boc_executor *(*boc_executor_clone)(const struct boc_executor *executor);
    boc_status (*boc_executor_release)(struct boc_executor *executor);
    boc_status (*boc_executor_new)(boc_execute_fn execute, void *env, boc_destroy_fn destroy_env, struct boc_executor **executor);
    boc_status (*boc_ready_run)(struct boc_ready *ready);
    boc_status (*boc_ready_cancel)(struct boc_ready *ready);
    boc_status (*boc_pump_new)(size_t lanes, boc_notify_fn wake, void *env, boc_destroy_fn destroy_env, struct boc_pump **pump);
    const struct boc_executor *(*boc_pump_executor)(const struct boc_pump *pump, size_t lane);
    boc_status (*boc_pump_run)(const struct boc_pump *pump, size_t limit, size_t *count);
    boc_status (*boc_pump_release)(struct boc_pump *pump);
    boc_status (*boc_runtime_new)(const struct boc_runtime_options *options, struct boc_runtime **runtime);
    boc_status (*boc_runtime_default)(struct boc_runtime **runtime);
    struct boc_runtime *(*boc_runtime_clone)(const struct boc_runtime *runtime);
    boc_status (*boc_runtime_release)(struct boc_runtime *runtime);
    const struct boc_executor *(*boc_runtime_executor)(const struct boc_runtime *runtime);
    boc_status (*boc_runtime_quiesce)(const struct boc_runtime *runtime, uint64_t timeout_ns);
    boc_status (*boc_runtime_shutdown)(const struct boc_runtime *runtime, uint64_t timeout_ns);
    boc_status (*boc_runtime_stop)(const struct boc_runtime *runtime, uint64_t timeout_ns);
    boc_status (*boc_runtime_run_worker)(const struct boc_runtime *runtime);
    size_t (*boc_runtime_workers)(const struct boc_runtime *runtime);
    size_t (*boc_runtime_in_flight)(const struct boc_runtime *runtime);
    boc_status (*boc_runtime_stats)(const struct boc_runtime *runtime, struct boc_worker_stats *stats, size_t stats_size, size_t capacity, size_t *count);
    boc_status (*boc_runtime_report)(const struct boc_runtime *runtime, char **report);
    void (*boc_string_free)(char *string);
} boc_table;

/* Each name means the function of the table to which the includer's `boc_table_in_use` points. */
#define boc_abi_version (boc_table_in_use->boc_abi_version)
#define boc_version (boc_table_in_use->boc_version)
#define boc_last_error (boc_table_in_use->boc_last_error)
#define boc_status_name (boc_table_in_use->boc_status_name)
#define boc_cown_new (boc_table_in_use->boc_cown_new)
#define boc_cown_clone (boc_table_in_use->boc_cown_clone)
#define boc_cown_release (boc_table_in_use->boc_cown_release)
#define boc_cown_same (boc_table_in_use->boc_cown_same)
#define boc_cown_downgrade (boc_table_in_use->boc_cown_downgrade)
#define boc_weak_cown_upgrade (boc_table_in_use->boc_weak_cown_upgrade)
#define boc_weak_cown_clone (boc_table_in_use->boc_weak_cown_clone)
#define boc_weak_cown_release (boc_table_in_use->boc_weak_cown_release)
#define boc_live_cowns (boc_table_in_use->boc_live_cowns)
#define boc_when (boc_table_in_use->boc_when)
#define boc_body_count (boc_table_in_use->boc_body_count)
#define boc_body_cown (boc_table_in_use->boc_body_cown)
#define boc_body_set_result (boc_table_in_use->boc_body_set_result)
#define boc_body_fail (boc_table_in_use->boc_body_fail)
#define boc_body_set_value (boc_table_in_use->boc_body_set_value)
#define boc_body_take (boc_table_in_use->boc_body_take)
#define boc_body_outcome (boc_table_in_use->boc_body_outcome)
#define boc_inside_behaviour (boc_table_in_use->boc_inside_behaviour)
#define boc_result_wait (boc_table_in_use->boc_result_wait)
#define boc_result_status (boc_table_in_use->boc_result_status)
#define boc_result_error (boc_table_in_use->boc_result_error)
#define boc_result_take (boc_table_in_use->boc_result_take)
#define boc_result_cancel (boc_table_in_use->boc_result_cancel)
#define boc_result_on_finished (boc_table_in_use->boc_result_on_finished)
#define boc_result_cown (boc_table_in_use->boc_result_cown)
#define boc_result_clone (boc_table_in_use->boc_result_clone)
#define boc_result_release (boc_table_in_use->boc_result_release)
#define boc_batch_new (boc_table_in_use->boc_batch_new)
#define boc_batch_when (boc_table_in_use->boc_batch_when)
#define boc_batch_len (boc_table_in_use->boc_batch_len)
#define boc_batch_schedule (boc_table_in_use->boc_batch_schedule)
#define boc_batch_release (boc_table_in_use->boc_batch_release)
#define boc_promise_new (boc_table_in_use->boc_promise_new)
#define boc_promise_fulfil (boc_table_in_use->boc_promise_fulfil)
#define boc_promise_fail (boc_table_in_use->boc_promise_fail)
#define boc_promise_is_cancelled (boc_table_in_use->boc_promise_is_cancelled)
#define boc_promise_release (boc_table_in_use->boc_promise_release)
#define boc_scope_new (boc_table_in_use->boc_scope_new)
#define boc_scope_executor (boc_table_in_use->boc_scope_executor)
#define boc_scope_close (boc_table_in_use->boc_scope_close)
#define boc_executor_current (boc_table_in_use->boc_executor_current)
#define boc_executor_clone (boc_table_in_use->boc_executor_clone)
#define boc_executor_release (boc_table_in_use->boc_executor_release)
#define boc_executor_new (boc_table_in_use->boc_executor_new)
#define boc_ready_run (boc_table_in_use->boc_ready_run)
#define boc_ready_cancel (boc_table_in_use->boc_ready_cancel)
#define boc_pump_new (boc_table_in_use->boc_pump_new)
#define boc_pump_executor (boc_table_in_use->boc_pump_executor)
#define boc_pump_run (boc_table_in_use->boc_pump_run)
#define boc_pump_release (boc_table_in_use->boc_pump_release)
#define boc_runtime_new (boc_table_in_use->boc_runtime_new)
#define boc_runtime_default (boc_table_in_use->boc_runtime_default)
#define boc_runtime_clone (boc_table_in_use->boc_runtime_clone)
#define boc_runtime_release (boc_table_in_use->boc_runtime_release)
#define boc_runtime_executor (boc_table_in_use->boc_runtime_executor)
#define boc_runtime_quiesce (boc_table_in_use->boc_runtime_quiesce)
#define boc_runtime_shutdown (boc_table_in_use->boc_runtime_shutdown)
#define boc_runtime_stop (boc_table_in_use->boc_runtime_stop)
#define boc_runtime_run_worker (boc_table_in_use->boc_runtime_run_worker)
#define boc_runtime_workers (boc_table_in_use->boc_runtime_workers)
#define boc_runtime_in_flight (boc_table_in_use->boc_runtime_in_flight)
#define boc_runtime_stats (boc_table_in_use->boc_runtime_stats)
#define boc_runtime_report (boc_table_in_use->boc_runtime_report)
#define boc_string_free (boc_table_in_use->boc_string_free)

#endif /* BOC_BOC_TABLE_H */

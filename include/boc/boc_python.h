/*
 * The functions of boc.h inside of a Python program: an extension module takes part in the scheduler that
 * the program runs, over Python's own cowns. Usable from C99 and C++.
 *
 * An extension includes this header, calls boc_python_import() when it is initialised, and links nothing.
 * All functions of boc.h are there then, by the same names, in each source file that has called it; NULL as
 * executor means the workers of the package boc, which start if they do not run. <boc/boc.hpp> can be
 * included behind this header.
 *
 *     #include <boc/boc_python.h>
 *
 *     static void increment(boc_body *body, void *const *values, void *env) {
 *         PyObject *sum = PyNumber_Add(values[0], (PyObject *)env);
 *         if (sum != NULL && boc_python_set_value(body, 0, sum) == 0) { ... }
 *         Py_XDECREF(sum);
 *     }
 *
 * What holds besides what boc.h says:
 *
 * - A behaviour on the package's workers runs attached to the interpreter (with the GIL, where there is
 *   one), like any function that Python calls. One that computes for long without Python lets go of it by
 *   Py_BEGIN_ALLOW_THREADS; on a build with the GIL nothing runs in parallel otherwise. Behaviours on other
 *   executors, such as a runtime of one's own, and functions that destroy something, may run on threads
 *   that are not attached: they attach by PyGILState_Ensure before they touch Python.
 * - In a body the value of a cown of Python is a borrowed PyObject *, never NULL. What is put in its place is
 *   put there by boc_python_set_value. The result of a behaviour of Python that has failed holds the exception,
 *   and boc_body_outcome says BOC_FAILED.
 * - What boc.h says goes to the standard error goes to the logger "boc".
 * - A body of boc_when that leaves a Python exception set has failed with that as message. The bodies of
 *   boc_python_when raise exceptions as Python's do.
 * - Functions that wait let other threads run Python meanwhile, and answer Ctrl-C by BOC_INTERRUPTED with
 *   the exception set.
 * - The functions of this header itself are called on threads that are attached; where they fail, a Python
 *   exception is set.
 * - As long as C has a reference to a cown of Python, weak ones included, the collector takes its value for
 *   reachable.
 * - The package's workers are Python's to stop: boc_runtime_shutdown says BOC_NOT_ALLOWED.
 */
#ifndef BOC_BOC_PYTHON_H
#define BOC_BOC_PYTHON_H

#include <Python.h>

#include "boc.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * How Python gets at the value of a cown that was made by boc_cown_new. Lives as long as the program. The
 * functions are called with what the cown holds: NULL as well, if it was made with that, or somebody took it.
 */
typedef struct boc_python_view {
    /** sizeof(boc_python_view), so that later versions can add fields. */
    size_t size;
    /**
     * What `cown.value` gives in a behaviour of Python that holds the cown: a new reference, or NULL with an
     * exception set. NULL as function: the value is not shown.
     */
    PyObject *(*get)(void *value);
    /**
     * Does what `cown.value = object` should do; 0, or -1 with an exception set. `object` is borrowed. NULL as
     * function: the value cannot be set.
     */
    int (*set)(void *value, PyObject *object);
} boc_python_view;

/**
 * The code of a behaviour with a result of Python: like boc_body_fn, but it gives a new reference, or NULL
 * with an exception set.
 */
typedef PyObject *(*boc_python_body_fn)(boc_body *body, void *const *values, void *env);

struct boc_table;

/** What the capsule `boc._C_API` points to. Functions are only ever added, at the end. */
typedef struct boc_python_api {
    /** The size in bytes of the table that the package has. */
    size_t size;
    /** As boc_abi_version() gives it. */
    size_t version;
    const struct boc_table *table;
    boc_cown *(*cown)(PyObject *object);
    PyObject *(*object)(const boc_cown *cown, const boc_python_view *view);
    PyObject *(*new_cown)(PyObject *value);
    int (*set_value)(boc_body *body, size_t index, PyObject *value);
    PyObject *(*when)(const boc_request *requests, size_t count, boc_python_body_fn body, void *env,
                      boc_destroy_fn destroy_env);
    boc_cown *(*cown_of)(PyObject *object, const boc_python_view *view);
} boc_python_api;

/* In C++17 one for all source files of the extension, since the functions of <boc/boc.hpp> are shared by them as
 * well; else one for each. */
#if !defined(__cplusplus) || __cplusplus < 201703L
#define BOC_PYTHON_STATIC static
#elif defined(__GNUC__)
#define BOC_PYTHON_STATIC inline __attribute__((visibility("hidden")))
#else
#define BOC_PYTHON_STATIC inline
#endif
BOC_PYTHON_STATIC const struct boc_table *boc_table_in_use = NULL;
BOC_PYTHON_STATIC const boc_python_api *boc_python_in_use = NULL;
#undef BOC_PYTHON_STATIC

#ifdef __cplusplus
}
#endif

#include "boc_table.h"

/**
 * Finds the package boc, and makes its functions known to this source file. To be called in each one that
 * uses them, when the module is initialised.
 *
 * Returns 0; or -1 with an ImportError set: if there is no package boc, if it cannot be used in this
 * interpreter, or if its version is one that does not go with this header; the message names both.
 */
static inline int boc_python_import(void) {
    const char *const name = "boc._C_API";
    const boc_python_api *api = NULL;
    /* Not by PyCapsule_Import, which does not say why the package cannot be imported. */
    PyObject *package = PyImport_ImportModule("boc");
    if (package == NULL) {
        return -1;
    }
    PyObject *capsule = PyObject_GetAttrString(package, "_C_API");
    Py_DECREF(package);
    if (PyCapsule_IsValid(capsule, name)) {
        api = (const boc_python_api *)PyCapsule_GetPointer(capsule, name);
    }
    Py_XDECREF(capsule);
    if (api == NULL) {
        PyErr_SetString(PyExc_ImportError, "the package boc that was found has no functions for extension "
                                           "modules in C: install a newer one");
        return -1;
    }
    const int major = (int)(api->version >> 16), minor = (int)(api->version & 0xffff);
    const int older = major < BOC_VERSION_MAJOR || (major == BOC_VERSION_MAJOR && minor < BOC_VERSION_MINOR);
    if (older || major != BOC_VERSION_MAJOR || api->size < sizeof(boc_python_api) ||
        api->table->size < sizeof(boc_table)) {
        PyErr_Format(PyExc_ImportError,
                     "this extension was built for version %d.%d of boc's C API, but the installed "
                     "package boc has %d.%d: %s",
                     BOC_VERSION_MAJOR, BOC_VERSION_MINOR, major, minor,
                     major > BOC_VERSION_MAJOR ? "build the extension anew for it"
                                               : "install a newer package boc");
        return -1;
    }
    boc_table_in_use = api->table;
    boc_python_in_use = api;
    return 0;
}

/**
 * The cown of a Python object of type boc.Cown whose value is of one kind, for the caller to release: one that
 * was made by this extension and shown by `view`; or, if that is NULL, one with a value of Python. Anything else
 * gives NULL with a TypeError set. So a body that is scheduled over it knows what it gets.
 */
static inline boc_cown *boc_python_cown_of(PyObject *object, const boc_python_view *view) {
    return boc_python_in_use->cown_of(object, view);
}

/**
 * The cown of any Python object of type boc.Cown, for the caller to release, whatever its value. NULL with a
 * TypeError set if it is something else, or a boc.PinnedCown, which is for the main thread alone.
 */
static inline boc_cown *boc_python_cown(PyObject *object) {
    return boc_python_in_use->cown(object);
}

/**
 * The Python object for a cown: a new reference. There is one for each cown at a time, so it is the same one
 * as before while anybody has that. `view` (may be NULL) counts where the cown was made by C and has no object
 * yet. The cown of a boc_result can be given, too, and scheduled over; but its result() says that it is none:
 * results that Python can wait for come from boc_python_when. NULL with an exception set.
 */
static inline PyObject *boc_python_object(const boc_cown *cown, const boc_python_view *view) {
    return boc_python_in_use->object(cown, view);
}

/** What `boc.Cown(value)` does in Python. A new reference; NULL with an exception set. */
static inline PyObject *boc_python_new_cown(PyObject *value) {
    return boc_python_in_use->new_cown(value);
}

/**
 * Puts a value into the cown of Python at `index` in the request of a running behaviour; takes a reference of
 * its own. values[index] must not be used any more, since it may be gone. 0; -1 with an exception set, if the
 * cown is only read, or is none of Python's.
 */
static inline int boc_python_set_value(boc_body *body, size_t index, PyObject *value) {
    return boc_python_in_use->set_value(body, index, value);
}

/**
 * Schedules a behaviour of C with a result of Python, on the package's workers: a new reference to the
 * boc.Cown that `@when` would give. The body runs attached; what it returns or raises is the result's.
 * Arguments are those of boc_when; `env` is destroyed once in every case. NULL with an exception set.
 */
static inline PyObject *boc_python_when(const boc_request *requests, size_t count,
                                        boc_python_body_fn body, void *env,
                                        boc_destroy_fn destroy_env) {
    return boc_python_in_use->when(requests, count, body, env, destroy_env);
}

/**
 * Sets a Python exception for a status that is not BOC_OK, with the message of boc_last_error(): TimeoutError
 * for BOC_TIMED_OUT, ValueError for what an argument cannot be, TypeError for a cown that is named twice,
 * RuntimeError otherwise; what is set already
 * stays. Returns NULL, to be returned.
 */
static inline PyObject *boc_python_error(boc_status status) {
    if (!PyErr_Occurred()) {
        PyErr_SetString(status == BOC_TIMED_OUT          ? PyExc_TimeoutError
                        : status == BOC_INVALID_ARGUMENT ? PyExc_ValueError
                        : status == BOC_DUPLICATE_COWN   ? PyExc_TypeError
                                                         : PyExc_RuntimeError,
                        boc_last_error());
    }
    return NULL;
}

#endif /* BOC_BOC_PYTHON_H */

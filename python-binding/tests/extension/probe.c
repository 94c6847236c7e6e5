/*
 * What the tests see of boc_python.h from the side of C: its functions, nearly as they are.
 *
 * Handles are capsules, which release them. A behaviour of C calls a function of Python with the values it
 * got; while that runs, set_value(), fail() and their like act on the behaviour.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <boc/boc.h>
#ifdef PRETEND_VERSION_MAJOR
#undef BOC_VERSION_MAJOR
#define BOC_VERSION_MAJOR PRETEND_VERSION_MAJOR
#endif
#ifdef PRETEND_VERSION_MINOR
#undef BOC_VERSION_MINOR
#define BOC_VERSION_MINOR PRETEND_VERSION_MINOR
#endif
#include <boc/boc_python.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PROBE
#define PROBE probe
#endif
#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define INIT_OF(name) PyInit_##name
#define INIT(name) INIT_OF(name)

#define UNUSED(name) (void)(name)

static _Thread_local boc_status last_status;

/* NULL, with the exception that boc_python.h has for the status. */
static PyObject *failed(boc_status status) {
    last_status = status;
    return boc_python_error(status);
}

static PyObject *done_or_failed(boc_status status) {
    if (status != BOC_OK) {
        return failed(status);
    }
    Py_RETURN_NONE;
}

static PyObject *name_of(boc_status status) {
    return PyUnicode_FromString(boc_status_name(status));
}

/* ---- Cowns of C: each holds a number. ---- */

static atomic_long numbers_destroyed;
static atomic_long envs_destroyed;

static void destroy_number(void *number) {
    free(number);
    atomic_fetch_add(&numbers_destroyed, 1);
}

static PyObject *get_number(void *value) {
    return PyLong_FromLong(*(const long *)value);
}

static int set_number(void *value, PyObject *object) {
    long number = PyLong_AsLong(object);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    *(long *)value = number;
    return 0;
}

static PyObject *raise_instead_of_get(void *value) {
    UNUSED(value);
    PyErr_SetString(PyExc_LookupError, "not to be seen");
    return NULL;
}

static int raise_instead_of_set(void *value, PyObject *object) {
    UNUSED(value);
    UNUSED(object);
    PyErr_SetString(PyExc_LookupError, "not to be changed");
    return -1;
}

static PyObject *say_nothing_instead_of_get(void *value) {
    UNUSED(value);
    return NULL;
}

static int say_nothing_instead_of_set(void *value, PyObject *object) {
    UNUSED(value);
    UNUSED(object);
    return -1;
}

static const struct {
    const char *name;
    boc_python_view view;
} views[] = {
    {"full", {sizeof(boc_python_view), get_number, set_number}},
    {"get", {sizeof(boc_python_view), get_number, NULL}},
    {"set", {sizeof(boc_python_view), NULL, set_number}},
    {"raising", {sizeof(boc_python_view), raise_instead_of_get, raise_instead_of_set}},
    {"silent", {sizeof(boc_python_view), say_nothing_instead_of_get, say_nothing_instead_of_set}},
    {"short", {sizeof(size_t), get_number, set_number}},
};

/* 0, and the view of that name, which is NULL for "none"; or -1. */
static int view_named(const char *name, const boc_python_view **view) {
    *view = NULL;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (strcmp(views[i].name, name) == 0) {
            *view = &views[i].view;
        }
    }
    if (*view == NULL && strcmp(name, "none") != 0) {
        PyErr_Format(PyExc_ValueError, "there is no view called %s", name);
        return -1;
    }
    return 0;
}

/* ---- Handles ---- */

/* The context of a handle whose cown holds a number. */
static char holds_number;

static void release_cown(PyObject *capsule) {
    boc_cown_release(PyCapsule_GetPointer(capsule, "cown"));
}

static void release_weak(PyObject *capsule) {
    boc_weak_cown_release(PyCapsule_GetPointer(capsule, "weak"));
}

static void release_result(PyObject *capsule) {
    boc_result_release(PyCapsule_GetPointer(capsule, "result"));
}

static void release_runtime(PyObject *capsule) {
    boc_runtime_release(PyCapsule_GetPointer(capsule, "runtime"));
}

static PyObject *number_handle(PyObject *module, PyObject *argument) {
    UNUSED(module);
    long *number = malloc(sizeof *number);
    if (number == NULL) {
        return PyErr_NoMemory();
    }
    *number = PyLong_AsLong(argument);
    boc_cown *cown;
    boc_status status = boc_cown_new(number, destroy_number, &cown);
    if (status != BOC_OK) {
        return failed(status);
    }
    PyObject *capsule = PyCapsule_New(cown, "cown", release_cown);
    if (capsule != NULL) {
        PyCapsule_SetContext(capsule, &holds_number);
    }
    return capsule;
}

static PyObject *handle(PyObject *module, PyObject *object) {
    UNUSED(module);
    boc_cown *cown = boc_python_cown(object);
    return cown == NULL ? NULL : PyCapsule_New(cown, "cown", release_cown);
}

static PyObject *handle_of(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *object;
    const char *name = "none";
    const boc_python_view *view;
    if (!PyArg_ParseTuple(arguments, "O|s", &object, &name) || view_named(name, &view) < 0) {
        return NULL;
    }
    boc_cown *cown = boc_python_cown_of(object, view);
    return cown == NULL ? NULL : PyCapsule_New(cown, "cown", release_cown);
}

static PyObject *object(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *capsule;
    const char *name = "none";
    const boc_python_view *view;
    if (!PyArg_ParseTuple(arguments, "O|s", &capsule, &name) || view_named(name, &view) < 0) {
        return NULL;
    }
    const boc_cown *cown = NULL;
    if (PyCapsule_IsValid(capsule, "cown")) {
        cown = PyCapsule_GetPointer(capsule, "cown");
    } else if (PyCapsule_IsValid(capsule, "result")) {
        cown = boc_result_cown(PyCapsule_GetPointer(capsule, "result"));
    }
    return boc_python_object(cown, view);
}

static PyObject *python_cown(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *value = NULL;
    if (!PyArg_ParseTuple(arguments, "|O", &value)) {
        return NULL;
    }
    return boc_python_new_cown(value);
}

static PyObject *same(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *a, *b;
    if (!PyArg_ParseTuple(arguments, "OO", &a, &b)) {
        return NULL;
    }
    return PyBool_FromLong(
        boc_cown_same(PyCapsule_GetPointer(a, "cown"), PyCapsule_GetPointer(b, "cown")));
}

static PyObject *downgrade(PyObject *module, PyObject *capsule) {
    UNUSED(module);
    boc_weak_cown *weak = boc_cown_downgrade(PyCapsule_GetPointer(capsule, "cown"));
    return PyCapsule_New(weak, "weak", release_weak);
}

static PyObject *upgrade(PyObject *module, PyObject *capsule) {
    UNUSED(module);
    boc_cown *cown;
    boc_status status = boc_weak_cown_upgrade(PyCapsule_GetPointer(capsule, "weak"), &cown);
    return status == BOC_OK ? PyCapsule_New(cown, "cown", release_cown) : failed(status);
}

/* ---- Behaviours that call a function of Python ---- */

enum { MOST = 8 };

typedef struct {
    PyObject *function;
    size_t count;
    bool is_number[MOST];
    /* What is different from other bodies. */
    char twist;
} call;

/* What is called with no thread attached attaches by itself. */
static void destroy_call(void *env) {
    call *self = env;
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(self->function);
    PyGILState_Release(state);
    free(self);
    atomic_fetch_add(&envs_destroyed, 1);
}

static void destroy_object(void *object) {
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF((PyObject *)object);
    PyGILState_Release(state);
}

static _Thread_local boc_body *running;

static PyObject *call_it(boc_body *body, void *const *values, const call *self) {
    size_t count = self->twist == 'w' ? 0 : self->count;
    PyObject *arguments = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; arguments != NULL && i < count; i++) {
        PyObject *argument = values[i];
        if (argument == NULL) {
            argument = Py_None;
        }
        if (self->is_number[i]) {
            argument = PyLong_FromLong(*(const long *)values[i]);
        } else {
            Py_INCREF(argument);
        }
        PyTuple_SET_ITEM(arguments, (Py_ssize_t)i, argument);
    }
    boc_body *outer = running;
    running = body;
    PyObject *returned = PyObject_CallObject(self->function, arguments);
    running = outer;
    Py_XDECREF(arguments);
    return returned;
}

static PyObject *python_body(boc_body *body, void *const *values, void *env) {
    const call *self = env;
    PyObject *returned = call_it(body, values, self);
    if (self->twist == 'a' && returned != NULL) {
        Py_DECREF(returned);
        returned = call_it(body, values, self);
    }
    if (self->twist == 'n') {
        Py_CLEAR(returned);
    } else if (self->twist == 'b') {
        PyErr_SetString(PyExc_LookupError, "set beside what is returned");
    }
    return returned;
}

static void c_body(boc_body *body, void *const *values, void *env) {
    PyObject *returned = call_it(body, values, env);
    if (returned == Py_None) {
        Py_DECREF(returned);
    } else if (returned != NULL) {
        boc_body_set_result(body, returned, destroy_object);
    }
    /* An exception stays set. */
}

static void attaching_body(boc_body *body, void *const *values, void *env) {
    PyGILState_STATE state = PyGILState_Ensure();
    c_body(body, values, env);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        boc_body_fail(body, "it raised");
    }
    PyGILState_Release(state);
}

typedef struct {
    call *env;
    boc_request requests[MOST];
    size_t count;
    PyObject *kept[MOST];
    bool no_body;
    bool no_requests;
} scheduled;

static void forget(scheduled *self) {
    for (size_t i = 0; i < self->count; i++) {
        if (PyCapsule_IsValid(self->kept[i], "cown")) {
            Py_DECREF(self->kept[i]);
        }
    }
}

/*
 * (function, cowns, modes="", twist=""): cowns are handles, or objects of boc.Cown; None stands for NULL.
 * modes has a letter for each, "w" if there are none. None as function or as cowns stands for NULL as well.
 * The twists: "without values" calls the function without them; with boc_python_when, "null" returns NULL,
 * "both" returns an object with an exception set, and "again" calls it twice with the values.
 */
static int parse(PyObject *arguments, scheduled *self) {
    memset(self, 0, sizeof *self);
    PyObject *function, *cowns;
    const char *modes = "", *twist = "";
    if (!PyArg_ParseTuple(arguments, "OO|ss", &function, &cowns, &modes, &twist)) {
        return -1;
    }
    call *env = calloc(1, sizeof *env);
    if (env == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->no_body = function == Py_None;
    self->no_requests = cowns == Py_None;
    self->env = env;
    Py_ssize_t count = self->no_requests ? 1 : PySequence_Size(cowns);
    for (Py_ssize_t i = 0; !self->no_requests && i < count && i < MOST; i++) {
        PyObject *given = PySequence_GetItem(cowns, i);
        PyObject *capsule = given;
        boc_cown *cown = NULL;
        if (PyCapsule_IsValid(given, "cown")) {
            cown = PyCapsule_GetPointer(given, "cown");
            env->is_number[i] = PyCapsule_GetContext(given) == &holds_number;
        } else if (given != Py_None) {
            capsule = handle(NULL, given);
            Py_DECREF(given);
            if (capsule == NULL) {
                forget(self);
                free(env);
                return -1;
            }
            cown = PyCapsule_GetPointer(capsule, "cown");
        }
        char mode = strlen(modes) > (size_t)i ? modes[i] : 'w';
        self->requests[i].cown = cown;
        self->requests[i].mode = mode == 'w' ? BOC_WRITE : mode == 'r' ? BOC_READ : 77;
        self->kept[i] = capsule;
        self->count++;
    }
    if (self->no_requests) {
        self->count = 1;
        self->kept[0] = Py_None;
    }
    env->count = self->count;
    env->twist = twist[0];
    Py_INCREF(function);
    env->function = function;
    return 0;
}

static PyObject *python_when(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    scheduled given;
    if (parse(arguments, &given) < 0) {
        return NULL;
    }
    PyObject *result = boc_python_when(given.no_requests ? NULL : given.requests, given.count,
                                       given.no_body ? NULL : python_body, given.env, destroy_call);
    forget(&given);
    return result;
}

static PyObject *schedule(PyObject *arguments, const boc_executor *executor, boc_body_fn body) {
    scheduled given;
    if (parse(arguments, &given) < 0) {
        return NULL;
    }
    boc_result *result = NULL;
    boc_status status = boc_when(executor, given.no_requests ? NULL : given.requests, given.count,
                                 given.no_body ? NULL : body, given.env, destroy_call, &result);
    forget(&given);
    return status == BOC_OK ? PyCapsule_New(result, "result", release_result) : failed(status);
}

static PyObject *when(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    return schedule(arguments, NULL, c_body);
}

/* As when(), on the thread of a runtime of its own, which is not attached; returns when that has ended. */
static PyObject *when_elsewhere(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    options.workers = 1;
    boc_runtime *runtime;
    boc_status status = boc_runtime_new(&options, &runtime);
    if (status != BOC_OK) {
        return failed(status);
    }
    PyObject *result = schedule(arguments, boc_runtime_executor(runtime), attaching_body);
    status = boc_runtime_shutdown(runtime, BOC_FOREVER);
    boc_runtime_release(runtime);
    if (result != NULL && status != BOC_OK) {
        Py_DECREF(result);
        return failed(status);
    }
    return result;
}

/* ---- What acts on the behaviour that runs ---- */

static PyObject *set_value(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    Py_ssize_t index;
    PyObject *value = NULL;
    if (!PyArg_ParseTuple(arguments, "n|O", &index, &value) ||
        boc_python_set_value(running, (size_t)index, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *put_number(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    Py_ssize_t index;
    long *number = malloc(sizeof *number);
    if (!PyArg_ParseTuple(arguments, "nl", &index, number)) {
        free(number);
        return NULL;
    }
    return done_or_failed(boc_body_set_value(running, (size_t)index, number, destroy_number));
}

static PyObject *take_number(PyObject *module, PyObject *index) {
    UNUSED(module);
    void *value;
    boc_status status = boc_body_take(running, PyLong_AsSize_t(index), &value);
    if (status != BOC_OK) {
        return failed(status);
    }
    PyObject *number = get_number(value);
    destroy_number(value);
    return number;
}

static PyObject *fail(PyObject *module, PyObject *message) {
    UNUSED(module);
    return done_or_failed(boc_body_fail(running, PyUnicode_AsUTF8(message)));
}

static PyObject *outcome(PyObject *module, PyObject *index) {
    UNUSED(module);
    const char *message = NULL;
    boc_status status = boc_body_outcome(running, PyLong_AsSize_t(index), &message);
    return Py_BuildValue("(sz)", boc_status_name(status), message);
}

static PyObject *inside(PyObject *module, PyObject *none) {
    UNUSED(module);
    UNUSED(none);
    return PyBool_FromLong(boc_inside_behaviour());
}

/* ---- Results ---- */

static PyObject *status_of(PyObject *module, PyObject *result) {
    UNUSED(module);
    return name_of(boc_result_status(PyCapsule_GetPointer(result, "result")));
}

static PyObject *error_of(PyObject *module, PyObject *result) {
    UNUSED(module);
    const char *message = boc_result_error(PyCapsule_GetPointer(result, "result"));
    if (message == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_FromString(message);
}

static PyObject *wait_for(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *result;
    unsigned long long timeout = BOC_FOREVER;
    if (!PyArg_ParseTuple(arguments, "O|K", &result, &timeout)) {
        return NULL;
    }
    return done_or_failed(boc_result_wait(PyCapsule_GetPointer(result, "result"), timeout));
}

static PyObject *take(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *result;
    unsigned long long timeout = BOC_FOREVER;
    if (!PyArg_ParseTuple(arguments, "O|K", &result, &timeout)) {
        return NULL;
    }
    void *value;
    boc_status status = boc_result_take(PyCapsule_GetPointer(result, "result"), timeout, &value);
    if (status != BOC_OK) {
        return failed(status);
    }
    if (value == NULL) {
        Py_RETURN_NONE;
    }
    return value;
}

static PyObject *cancel(PyObject *module, PyObject *result) {
    UNUSED(module);
    bool cancelled;
    boc_status status = boc_result_cancel(PyCapsule_GetPointer(result, "result"), &cancelled);
    return status == BOC_OK ? PyBool_FromLong(cancelled) : failed(status);
}

/* ---- The runtime ---- */

static PyObject *runtime(PyObject *module, PyObject *none) {
    UNUSED(module);
    UNUSED(none);
    boc_runtime *found;
    boc_status status = boc_runtime_default(&found);
    return status == BOC_OK ? PyCapsule_New(found, "runtime", release_runtime) : failed(status);
}

static PyObject *runtime_end(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *capsule;
    const char *how;
    unsigned long long timeout = BOC_FOREVER;
    if (!PyArg_ParseTuple(arguments, "Os|K", &capsule, &how, &timeout)) {
        return NULL;
    }
    const boc_runtime *found = PyCapsule_GetPointer(capsule, "runtime");
    return done_or_failed(strcmp(how, "shutdown") == 0 ? boc_runtime_shutdown(found, timeout)
                          : strcmp(how, "stop") == 0   ? boc_runtime_stop(found, timeout)
                                                       : boc_runtime_quiesce(found, timeout));
}

/* (workers, in flight, behaviours that ran, report) */
static PyObject *runtime_numbers(PyObject *module, PyObject *capsule) {
    UNUSED(module);
    const boc_runtime *found = PyCapsule_GetPointer(capsule, "runtime");
    boc_worker_stats stats[64];
    size_t count;
    char *report;
    boc_status status = boc_runtime_stats(found, stats, sizeof stats[0], 64, &count);
    if (status != BOC_OK || (status = boc_runtime_report(found, &report)) != BOC_OK) {
        return failed(status);
    }
    unsigned long long run = 0;
    for (size_t i = 0; i < count && i < 64; i++) {
        run += stats[i].run;
    }
    PyObject *numbers = Py_BuildValue("(nnKs)", (Py_ssize_t)boc_runtime_workers(found),
                                      (Py_ssize_t)boc_runtime_in_flight(found), run, report);
    boc_string_free(report);
    return numbers;
}

/* ---- Behaviours that are nothing but C ---- */

static void add_body(boc_body *body, void *const *values, void *env) {
    UNUSED(body);
    UNUSED(env);
    ++*(long *)values[0];
}

typedef struct {
    boc_cown *cown;
    long times;
    boc_status status;
    char message[200];
} errand;

static void *run_errand(void *data) {
    errand *self = data;
    boc_request request = {self->cown, BOC_WRITE};
    for (long i = 0; i < self->times && self->status == BOC_OK; i++) {
        self->status = boc_when(NULL, &request, 1, add_body, NULL, NULL, NULL);
    }
    if (self->status != BOC_OK) {
        snprintf(self->message, sizeof self->message, "%s", boc_last_error());
    }
    return NULL;
}

/* Adds 1 to a number so many times, from a thread that Python does not know. */
static PyObject *add_from_thread(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *capsule;
    errand job = {NULL, 0, BOC_OK, ""};
    if (!PyArg_ParseTuple(arguments, "Ol", &capsule, &job.times)) {
        return NULL;
    }
    job.cown = PyCapsule_GetPointer(capsule, "cown");
    pthread_t thread;
    Py_BEGIN_ALLOW_THREADS
    if (pthread_create(&thread, NULL, run_errand, &job) == 0) {
        pthread_join(thread, NULL);
    } else {
        job.status = BOC_NO_THREAD;
    }
    Py_END_ALLOW_THREADS
    if (job.status != BOC_OK) {
        /* What boc_last_error() says is for the thread that made the call. */
        PyErr_SetString(PyExc_RuntimeError, job.message);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Appends (number, item) to a list, and counts the number up. */
static PyObject *append_body(boc_body *body, void *const *values, void *env) {
    UNUSED(body);
    long *number = values[0];
    PyObject *entry = Py_BuildValue("(lO)", (*number)++, (PyObject *)env);
    if (entry == NULL || PyList_Append(values[1], entry) < 0) {
        Py_XDECREF(entry);
        return NULL;
    }
    Py_DECREF(entry);
    Py_RETURN_NONE;
}

static PyObject *append(PyObject *module, PyObject *arguments) {
    UNUSED(module);
    PyObject *number, *log, *item;
    if (!PyArg_ParseTuple(arguments, "OOO", &number, &log, &item)) {
        return NULL;
    }
    boc_cown *cown = boc_python_cown(log);
    if (cown == NULL) {
        return NULL;
    }
    boc_request requests[] = {{PyCapsule_GetPointer(number, "cown"), BOC_WRITE}, {cown, BOC_WRITE}};
    Py_INCREF(item);
    PyObject *result = boc_python_when(requests, 2, append_body, item, destroy_object);
    boc_cown_release(cown);
    return result;
}

/* ---- The module ---- */

static PyObject *live_cowns(PyObject *module, PyObject *none) {
    UNUSED(module);
    UNUSED(none);
    return PyLong_FromUnsignedLongLong(boc_live_cowns());
}

static PyObject *destroyed(PyObject *module, PyObject *none) {
    UNUSED(module);
    UNUSED(none);
    return Py_BuildValue("{s:l,s:l}", "numbers", atomic_load(&numbers_destroyed), "envs",
                         atomic_load(&envs_destroyed));
}

static PyObject *last(PyObject *module, PyObject *none) {
    UNUSED(module);
    UNUSED(none);
    return name_of(last_status);
}

/* What boc_python_error() does for a status of that number. */
static PyObject *raise_for(PyObject *module, PyObject *status) {
    UNUSED(module);
    return failed((boc_status)PyLong_AsLong(status));
}

static PyMethodDef methods[] = {
    {"number", number_handle, METH_O, "A handle to a new cown of C with a number."},
    {"handle", handle, METH_O, "boc_python_cown"},
    {"handle_of", handle_of, METH_VARARGS, "boc_python_cown_of(object, view=\"none\")"},
    {"object", object, METH_VARARGS, "boc_python_object(handle, view=\"none\")"},
    {"python_cown", python_cown, METH_VARARGS, "boc_python_new_cown"},
    {"same", same, METH_VARARGS, "boc_cown_same"},
    {"downgrade", downgrade, METH_O, "boc_cown_downgrade"},
    {"upgrade", upgrade, METH_O, "boc_weak_cown_upgrade"},
    {"python_when", python_when, METH_VARARGS, "boc_python_when(function, cowns, modes, twist)"},
    {"when", when, METH_VARARGS, "boc_when(function, cowns, modes)"},
    {"when_elsewhere", when_elsewhere, METH_VARARGS, "As when(), on another runtime."},
    {"set_value", set_value, METH_VARARGS, "boc_python_set_value(index, object)"},
    {"put_number", put_number, METH_VARARGS, "boc_body_set_value(index, number)"},
    {"take_number", take_number, METH_O, "boc_body_take(index)"},
    {"fail", fail, METH_O, "boc_body_fail(message)"},
    {"outcome", outcome, METH_O, "boc_body_outcome(index)"},
    {"inside", inside, METH_NOARGS, "boc_inside_behaviour"},
    {"status", status_of, METH_O, "boc_result_status"},
    {"error", error_of, METH_O, "boc_result_error"},
    {"wait", wait_for, METH_VARARGS, "boc_result_wait(result, nanoseconds)"},
    {"take", take, METH_VARARGS, "boc_result_take(result, nanoseconds)"},
    {"cancel", cancel, METH_O, "boc_result_cancel"},
    {"runtime", runtime, METH_NOARGS, "boc_runtime_default"},
    {"runtime_end", runtime_end, METH_VARARGS, "boc_runtime_quiesce and its like"},
    {"runtime_numbers", runtime_numbers, METH_O, "(workers, in flight, have run, report)"},
    {"add_from_thread", add_from_thread, METH_VARARGS, "(number, times)"},
    {"append", append, METH_VARARGS, "(number, log, item)"},
    {"live_cowns", live_cowns, METH_NOARGS, "boc_live_cowns"},
    {"destroyed", destroyed, METH_NOARGS, "How many numbers and envs were destroyed so far."},
    {"last_status", last, METH_NOARGS, "Of the call that failed last on this thread."},
    {"raise_for", raise_for, METH_O, "boc_python_error"},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    UNUSED(module);
    return boc_python_import();
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
/* That it cannot be used in other interpreters is left to boc to say. */
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = TEXT(PROBE),
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC INIT(PROBE)(void) {
    return PyModuleDef_Init(&definition);
}

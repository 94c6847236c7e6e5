/*
 * An extension module in plain C whose behaviours run in the scheduler of the Python program.
 *
 * Its cowns hold histograms, which C fills and Python reads; its behaviours use cowns of Python as well.
 * All of them, those of Python and those of C, stand in the same queues, so they run in one order.
 */
#define PY_SSIZE_T_CLEAN
#include <boc/boc_python.h>

#include <stdlib.h>
#include <string.h>

/* What a cown of this module holds. */
typedef struct {
    double low, width;
    size_t bins;
    size_t counts[];
} histogram;

/* ---- As Python sees it: `cown.value` is a list of the counts. ---- */

static PyObject *histogram_get(void *value) {
    const histogram *self = value;
    PyObject *list = PyList_New((Py_ssize_t)self->bins);
    for (size_t bin = 0; list != NULL && bin < self->bins; bin++) {
        PyObject *count = PyLong_FromSize_t(self->counts[bin]);
        if (count == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)bin, count);
    }
    return list;
}

static const boc_python_view histogram_view = {sizeof(boc_python_view), histogram_get, NULL};

PyDoc_STRVAR(new_doc, "new(low, high, bins)\n--\n\n"
                      "A cown with an empty histogram of so many bins of the same width.");

static PyObject *new(PyObject *module, PyObject *arguments) {
    (void)module;
    double low, high;
    Py_ssize_t bins;
    if (!PyArg_ParseTuple(arguments, "ddn", &low, &high, &bins)) {
        return NULL;
    }
    if (!(low < high) || bins < 1 || bins > 1000000) {
        PyErr_SetString(PyExc_ValueError, "low must be below high, and bins from 1 to 1000000");
        return NULL;
    }
    histogram *self = calloc(1, sizeof *self + (size_t)bins * sizeof self->counts[0]);
    if (self == NULL) {
        return PyErr_NoMemory();
    }
    self->low = low;
    self->width = (high - low) / (double)bins;
    self->bins = (size_t)bins;
    boc_cown *cown;
    boc_status status = boc_cown_new(self, free, &cown);
    if (status != BOC_OK) {
        return boc_python_error(status);
    }
    PyObject *object = boc_python_object(cown, &histogram_view);
    boc_cown_release(cown);
    return object;
}

/* ---- Behaviours of C ---- */

/* Over a histogram, and a cown of Python with a buffer of doubles. */
static PyObject *add_body(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)env;
    histogram *self = values[0];
    Py_buffer buffer;
    if (PyObject_GetBuffer(values[1], &buffer, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
        return NULL;
    }
    if (buffer.format == NULL || strcmp(buffer.format, "d") != 0) {
        PyBuffer_Release(&buffer);
        PyErr_SetString(PyExc_TypeError, "a buffer of doubles is needed, such as array.array('d')");
        return NULL;
    }
    size_t count = (size_t)buffer.len / sizeof(double), counted = 0;
    const double *numbers = buffer.buf;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < count; i++) {
        double bin = (numbers[i] - self->low) / self->width;
        if (bin >= 0 && bin < (double)self->bins) {
            self->counts[(size_t)bin]++;
            counted++;
        }
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    return PyLong_FromSize_t(counted);
}

PyDoc_STRVAR(add_doc, "add(histogram, numbers)\n--\n\n"
                      "Schedule counting the numbers, a cown with a buffer of doubles. The result says "
                      "how many are within the bounds.");

static PyObject *add(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *target, *numbers;
    if (!PyArg_ParseTuple(arguments, "OO", &target, &numbers)) {
        return NULL;
    }
    PyObject *result = NULL;
    boc_cown *cowns[2] = {boc_python_cown_of(target, &histogram_view), NULL};
    if (cowns[0] != NULL && (cowns[1] = boc_python_cown_of(numbers, NULL)) != NULL) {
        boc_request requests[] = {{cowns[0], BOC_WRITE}, {cowns[1], BOC_READ}};
        result = boc_python_when(requests, 2, add_body, NULL, NULL);
    }
    boc_cown_release(cowns[0]);
    boc_cown_release(cowns[1]);
    return result;
}

/* Over a cown of Python with a number. `env` is none, so there is nothing to allocate. */
static void increment_body(boc_body *body, void *const *values, void *env) {
    (void)env;
    PyObject *one = PyLong_FromLong(1);
    PyObject *sum = one == NULL ? NULL : PyNumber_Add(values[0], one);
    if (sum != NULL) {
        boc_python_set_value(body, 0, sum);
    }
    Py_XDECREF(sum);
    Py_XDECREF(one);
    /* An exception that is set makes the behaviour fail. */
}

PyDoc_STRVAR(increment_doc, "increment(cown, times=1)\n--\n\n"
                            "Schedule adding 1 to a cown with a number, so many times: as many behaviours "
                            "of C.");

static PyObject *increment(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *object;
    Py_ssize_t times = 1;
    if (!PyArg_ParseTuple(arguments, "O|n", &object, &times)) {
        return NULL;
    }
    boc_cown *cown = boc_python_cown_of(object, NULL);
    if (cown == NULL) {
        return NULL;
    }
    boc_request request = {cown, BOC_WRITE};
    boc_status status = BOC_OK;
    for (Py_ssize_t i = 0; i < times && status == BOC_OK; i++) {
        status = boc_when(NULL, &request, 1, increment_body, NULL, NULL, NULL);
    }
    if (status != BOC_OK) {
        boc_python_error(status);
    }
    boc_cown_release(cown);
    if (status != BOC_OK) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- The module ---- */

static int execute(PyObject *module) {
    (void)module;
    return boc_python_import();
}

static PyMethodDef methods[] = {
    {"new", new, METH_VARARGS, new_doc},
    {"add", add, METH_VARARGS, add_doc},
    {"increment", increment, METH_VARARGS, increment_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "histogram",
    .m_doc = "Histograms in cowns, filled by behaviours of C.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_histogram(void) {
    return PyModuleDef_Init(&definition);
}

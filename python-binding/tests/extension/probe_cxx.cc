/*
 * An extension in C++ with behaviours that throw what is no exception of Python.
 */
#include <boc/boc_python.h>

#include <exception>
#include <stdexcept>

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define INIT_OF(name) PyInit_##name
#define INIT(name) INIT_OF(name)

namespace {

struct guard {
    boc_cown *cown;
    ~guard() { boc_cown_release(cown); }
};

/* Shows that the stack is unwound. */
struct noted {
    PyObject *list;
    ~noted() { PyList_Append(list, Py_True); }
};

PyObject *python_body(boc_body *, void *const *values, void *) {
    noted at_the_end{static_cast<PyObject *>(values[0])};
    throw std::out_of_range("thrown by a body");
}

void c_body(boc_body *, void *const *values, void *) {
    noted at_the_end{static_cast<PyObject *>(values[0])};
    throw std::out_of_range("thrown by a body");
}

PyObject *counting_body(boc_body *, void *const *, void *) {
    return PyLong_FromLong(std::uncaught_exceptions());
}

/* throw_in_python(cown): by boc_python_when, over a list */
PyObject *throw_in_python(PyObject *, PyObject *object) {
    guard cown{boc_python_cown(object)};
    if (cown.cown == nullptr) {
        return nullptr;
    }
    boc_request request{cown.cown, BOC_WRITE};
    return boc_python_when(&request, 1, python_body, nullptr, nullptr);
}

/* uncaught(): how many exceptions are on their way, as a behaviour sees it */
PyObject *uncaught(PyObject *, PyObject *) {
    return boc_python_when(nullptr, 0, counting_body, nullptr, nullptr);
}

/* throw_in_c(cown): by boc_when, over a list; waits, and gives the status and the message */
PyObject *throw_in_c(PyObject *, PyObject *object) {
    guard cown{boc_python_cown(object)};
    if (cown.cown == nullptr) {
        return nullptr;
    }
    boc_request request{cown.cown, BOC_WRITE};
    boc_result *result;
    boc_status status = boc_when(nullptr, &request, 1, c_body, nullptr, nullptr, &result);
    if (status == BOC_OK) {
        status = boc_result_wait(result, BOC_FOREVER);
    }
    if (status != BOC_OK) {
        return boc_python_error(status);
    }
    PyObject *ended = Py_BuildValue("(ss)", boc_status_name(boc_result_status(result)),
                                    boc_result_error(result));
    boc_result_release(result);
    return ended;
}

PyMethodDef methods[] = {
    {"throw_in_python", throw_in_python, METH_O, nullptr},
    {"throw_in_c", throw_in_c, METH_O, nullptr},
    {"uncaught", uncaught, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject *) {
    return boc_python_import();
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(execute)},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, TEXT(PROBE), nullptr, 0,       methods,
                          slots,                 nullptr,     nullptr, nullptr};

} // namespace

PyMODINIT_FUNC INIT(PROBE)() {
    return PyModuleDef_Init(&definition);
}

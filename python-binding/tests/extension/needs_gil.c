/* A module that does not say that it can run without the GIL, which is so switched on. */

#include <Python.h>

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "needs_gil",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_needs_gil(void) { return PyModule_Create(&definition); }

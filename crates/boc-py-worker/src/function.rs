//! Functions on their way to another interpreter.
//!
//! A plain function is sent as its *template*, a [`Definition`] with its code and a way to its globals, and
//! beside that its defaults and what is in its closure. The template is made once for a `def`, however often
//! that is run, by the Python half (`boc/_templates.py`); and loaded once in each interpreter. Globals that
//! change from time to time are no part of it, and are sent each time. All other callables are values.

mod guards;

use pyo3_ffi::{self as ffi, PyObject};
use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::CStr,
    hash::{BuildHasherDefault, Hasher},
    mem, ptr,
    rc::Rc,
    sync::Arc,
};

use crate::{
    definition::{self, Definition},
    departure::Departure,
    error::{Raised, Result, runtime_error},
    interpreter,
    object::{self, Object},
    parcel::Parcel,
};
use guards::Guard;

/// The Python half.
const SHIPPING: &str = "boc._shipping";

/// A callable that belongs to no interpreter.
pub struct Function(Kind);

enum Kind {
    /// A function of Python, by its template and what it has of its own, if it has.
    Plain(Arc<Definition>, Option<Box<Own>>),
    /// Anything else.
    Whole(Parcel),
}

/// What a function has beside its template.
struct Own {
    /// A dictionary of those globals that are no part of the template.
    variables: Option<Parcel>,
    /// A tuple.
    defaults: Option<Parcel>,
    /// A dictionary.
    keyword_defaults: Option<Parcel>,
    cells: Box<[Cell]>,
}

/// What is in a cell of the closure.
enum Cell {
    Empty,
    /// The function itself.
    Function,
    Value(Parcel),
}

impl Function {
    /// Packs a callable of this thread's interpreter. What is to move moves with the departure.
    ///
    /// Raises a `TypeError` if it refers to something that cannot be sent, which says what.
    pub(crate) fn of(callable: &Object, departure: &mut Departure) -> Result<Self> {
        // SAFETY: the object is alive, and the thread attached.
        if unsafe { !is_plain(callable.as_ptr()) } {
            return Self::whole(callable, departure);
        }
        // SAFETY: it is a function; what is borrowed of it are null or objects that it keeps alive, and
        // references are taken before anything else runs.
        let (code, globals, defaults, keyword_defaults, closure) = unsafe {
            let function = callable.as_ptr();
            (
                Object::from_borrowed(ffi::PyFunction_GetCode(function)),
                Object::from_borrowed(ffi::PyFunction_GetGlobals(function)),
                borrowed(ffi::PyFunction_GetDefaults(function)),
                borrowed(ffi::PyFunction_GetKwDefaults(function)),
                borrowed(ffi::PyFunction_GetClosure(function)),
            )
        };
        let Some((template, variables)) = template(callable, &code, &globals)? else {
            return Self::whole(callable, departure);
        };
        let own = if variables.is_none()
            && defaults.is_none()
            && keyword_defaults.is_none()
            && closure.is_none()
        {
            None
        } else {
            let mut pack = |values: Option<Object>, role| {
                let pack = |values| packed(&values, callable, role, 0, departure);
                values.map(pack).transpose()
            };
            Some(Box::new(Own {
                variables: pack(variables, c"global")?,
                defaults: pack(defaults, c"default")?,
                keyword_defaults: pack(keyword_defaults, c"default")?,
                cells: closure.map_or_else(
                    || Ok(Box::default()),
                    |cells| packed_cells(callable, &cells, departure),
                )?,
            }))
        };
        Ok(Self(Kind::Plain(template, own)))
    }

    /// As a value like others.
    fn whole(callable: &Object, departure: &mut Departure) -> Result<Self> {
        Ok(Self(Kind::Whole(packed(callable, callable, c"whole", 0, departure)?)))
    }

    /// The callable as an object of this thread's interpreter.
    ///
    /// Raises an `ImportError` if it needs a module that cannot be imported here.
    pub fn build(&self) -> Result<Object> {
        let (definition, own) = match &self.0 {
            Kind::Whole(parcel) => return parcel.open(),
            Kind::Plain(definition, own) => (definition, own),
        };
        let is_whole = own.as_ref().is_none_or(|own| own.variables.is_none());
        let template = loaded(definition, is_whole)?;
        let Some(own) = own else {
            return Ok(template.function.clone());
        };
        if let Some(variables) = &own.variables {
            let variables = variables.open()?;
            // SAFETY: the one are a function's globals, the other was a dictionary when it was packed.
            check(unsafe { ffi::PyDict_Update(template.globals.as_ptr(), variables.as_ptr()) })?;
        }
        template.with(own)
    }
}

/// Whether this is a function of Python without attributes of its own.
///
/// # Safety
///
/// The thread is attached; the object is alive.
unsafe fn is_plain(callable: *mut PyObject) -> bool {
    // SAFETY: passed on to the caller; the class is looked at first.
    unsafe {
        if ffi::Py_TYPE(callable) != &raw mut ffi::PyFunction_Type {
            return false;
        }
        let attributes = (*callable.cast::<ffi::PyFunctionObject>()).func_dict;
        attributes.is_null() || ffi::PyDict_Size(attributes) == 0
    }
}

/// The code that a callable runs first, or the name of its class. Not the callable, which can refer to anything.
pub(crate) fn user(callable: &Object) -> Option<Object> {
    // SAFETY: the object is alive; the class is looked at before the code, which is borrowed, is asked for.
    let code = unsafe {
        let object = callable.as_ptr();
        let is_function = ffi::Py_TYPE(object) == &raw mut ffi::PyFunction_Type;
        is_function.then(|| borrowed(ffi::PyFunction_GetCode(object))).flatten()
    };
    code.or_else(|| user_of_other(callable))
}

#[cold]
fn user_of_other(callable: &Object) -> Option<Object> {
    let get = |name| callable.get(name).map_err(Raised::clear).ok();
    // What methods, partials, and what `functools.lru_cache` makes, have inside. A class can have such a name, too.
    let inner = get(c"__func__").or_else(|| get(c"func")).or_else(|| get(c"__wrapped__"));
    let code = inner.and_then(|inner| inner.get(c"__code__").map_err(Raised::clear).ok());
    code.or_else(|| Object::str(&callable.class_name()).map_err(Raised::clear).ok())
}

/// A reference to what is borrowed; `None` for null.
///
/// # Safety
///
/// The thread is attached; `object` is null or alive.
unsafe fn borrowed(object: *mut PyObject) -> Option<Object> {
    // SAFETY: passed on to the caller.
    (!object.is_null()).then(|| unsafe { Object::from_borrowed(object) })
}

/// A part of a callable, which is what `boc._shipping.explain` knows by this role and index.
fn packed(
    part: &Object,
    callable: &Object,
    role: &CStr,
    index: usize,
    departure: &mut Departure,
) -> Result<Parcel> {
    let packed = Parcel::pack_for(departure, "value", part);
    packed.or_else(|error| blame(error, callable, role, index))
}

/// What is in the cells of a function's closure.
fn packed_cells(
    function: &Object,
    cells: &Object,
    departure: &mut Departure,
) -> Result<Box<[Cell]>> {
    // SAFETY: a closure is a tuple of cells, and keeps them alive; a tuple does not change.
    let count = unsafe { ffi::PyTuple_Size(cells.as_ptr()) };
    let pack = |index: ffi::Py_ssize_t| {
        // SAFETY: as above. What a cell holds comes as a new reference, or null if there is nothing.
        let contents = unsafe {
            let contents = ffi::PyCell_Get(ffi::PyTuple_GetItem(cells.as_ptr(), index));
            if contents.is_null() {
                return Ok(Cell::Empty);
            }
            Object::from_owned(contents)?
        };
        if ptr::eq(contents.as_ptr(), function.as_ptr()) {
            return Ok(Cell::Function);
        }
        packed(&contents, function, c"closure", index as usize, departure).map(Cell::Value)
    };
    (0..count).map(pack).collect()
}

/// Raises what says which part of a callable cannot be sent.
///
/// What is no `Exception`, as `KeyboardInterrupt`, stays what it is.
#[cold]
fn blame<T>(error: Raised, callable: &Object, role: &CStr, index: usize) -> Result<T> {
    let error = error.take();
    // SAFETY: attached; the class lives as long as the interpreter.
    let ordinary =
        unsafe { ffi::PyErr_GivenExceptionMatches(error.as_ptr(), ffi::PyExc_Exception) != 0 };
    if !ordinary {
        return Err(Raised::restore(error));
    }
    let role = Object::str(role.to_str().expect("it is ours"))?;
    let index = Object::int(index)?;
    let better = object::call(SHIPPING, c"explain", [callable, &role, &index, &error])?;
    Err(Raised::restore(better))
}

/// A code object and a dictionary of globals, by their addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    code: usize,
    globals: usize,
}

impl Place {
    fn new(code: &Object, globals: &Object) -> Self {
        Self { code: code.as_ptr() as usize, globals: globals.as_ptr() as usize }
    }
}

/// Spreads addresses, and numbers that are given in turn.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// The template of functions with the same code and globals, as it was made last.
struct Known {
    definition: Arc<Definition>,
    guards: Box<[Guard]>,
    /// To be asked for again each time.
    volatile: bool,
    /// The names of the globals that are sent beside it.
    varying: Box<[Object]>,
    /// Its own name, and the qualified one.
    names: [Object; 2],
    /// They keep the addresses in the place from being others'.
    _code: Object,
    globals: Object,
}

/// A template that was loaded.
struct Loaded {
    function: Object,
    code: Object,
    globals: Object,
    qualified_name: Object,
    /// If it is not that of the code.
    name: Option<Object>,
}

/// What an interpreter remembers of functions. Only threads that are attached to it touch that.
///
/// Their GIL is what makes one wait for the other. So nothing that may run Python code, which giving up a
/// reference is, happens while one of the maps is borrowed.
#[derive(Default)]
pub struct Caches {
    known: RefCell<Map<Place, Rc<Known>>>,
    loaded: RefCell<Map<u64, Rc<Loaded>>>,
}

// SAFETY: threads that are attached to the interpreter take turns, by its GIL, and nobody else comes here.
unsafe impl Send for Caches {}
// SAFETY: as above.
unsafe impl Sync for Caches {}

/// So many entries; a map that is full is emptied.
const LIMIT: usize = 1024;

impl Caches {
    /// Gives all references up.
    pub fn clear(&self) {
        drop(self.known.take());
        drop(self.loaded.take());
    }
}

/// Enters something into one of the maps.
fn enter<K: Eq + std::hash::Hash, V>(map: &RefCell<Map<K, V>>, key: K, value: V) {
    let mut full = Map::default();
    let mut borrowed = map.borrow_mut();
    if borrowed.len() >= LIMIT {
        mem::swap(&mut *borrowed, &mut full);
    }
    let before = borrowed.insert(key, value);
    drop(borrowed);
    drop((before, full));
}

/// The template of a function with these parts, and a dictionary of the globals to send beside it; `None` if
/// the function has been given another name than those that the template is of.
fn template(
    function: &Object,
    code: &Object,
    globals: &Object,
) -> Result<Option<(Arc<Definition>, Option<Object>)>> {
    let caches = &interpreter::here().functions;
    let known = caches.known.borrow().get(&Place::new(code, globals)).cloned();
    if let Some(known) = known.filter(|known| known.is_current()) {
        if !known.has_names_of(function) {
            return Ok(None);
        }
        let all = known.variables()?;
        if let Some(variables) = all {
            return Ok(Some((known.definition.clone(), variables)));
        }
    }
    let known = prepared(function, code, globals)?;
    if !known.has_names_of(function) {
        return Ok(None);
    }
    let lost = || runtime_error("a global of a function was taken away while it was sent");
    Ok(Some((known.definition.clone(), known.variables()?.ok_or_else(lost)?)))
}

impl Known {
    fn is_current(&self) -> bool {
        !self.volatile && self.guards.iter().all(Guard::holds)
    }

    fn has_names_of(&self, function: &Object) -> bool {
        let [name, qualified_name] = &self.names;
        // SAFETY: it is a function, which has both, two strings.
        unsafe {
            let function = function.as_ptr().cast::<ffi::PyFunctionObject>();
            let is = |known: &Object, name: *mut PyObject| {
                known.as_ptr() == name || ffi::PyUnicode_Compare(known.as_ptr(), name) == 0
            };
            is(name, (*function).func_name) && is(qualified_name, (*function).func_qualname)
        }
    }

    /// The globals to send beside it, if there are any; `None` if one is not there, or is no data.
    #[expect(clippy::option_option, reason = "none to send is not the same as not all there")]
    fn variables(&self) -> Result<Option<Option<Object>>> {
        if self.varying.is_empty() {
            return Ok(Some(None));
        }
        // SAFETY: the globals are a dictionary, the names are alive; what is found is borrowed, and used
        // before anything else runs. A dictionary takes references of its own.
        unsafe {
            let variables = Object::from_owned(ffi::PyDict_New())?;
            for name in &self.varying {
                let value = ffi::PyDict_GetItemWithError(self.globals.as_ptr(), name.as_ptr());
                if value.is_null() && !ffi::PyErr_Occurred().is_null() {
                    return Err(Raised::already());
                }
                if value.is_null() || !guards::is_data(value) {
                    return Ok(None);
                }
                check(ffi::PyDict_SetItem(variables.as_ptr(), name.as_ptr(), value))?;
            }
            Ok(Some(Some(variables)))
        }
    }
}

/// Asks the Python half for the template.
#[cold]
fn prepared(function: &Object, code: &Object, globals: &Object) -> Result<Rc<Known>> {
    // Where in the Python half it was raised says nothing.
    let answer =
        object::call(SHIPPING, c"prepare", [function]).map_err(Raised::without_traceback)?;
    // SAFETY: the answer is a tuple with the definition, a list of guards, whether to ask again, what
    // stands for nothing in guards, a tuple of names, and two names. It keeps them alive.
    let known = unsafe {
        let item = |index| ffi::PyTuple_GetItem(answer.as_ptr(), index);
        let name = |index| Object::from_borrowed(ffi::PyTuple_GetItem(item(4), index));
        Known {
            definition: definition::behind(item(0)).expect("the first is a definition"),
            guards: guards::read(item(1), item(3))?,
            volatile: ffi::PyObject_IsTrue(item(2)) != 0,
            varying: (0..ffi::PyTuple_Size(item(4))).map(name).collect(),
            names: [item(5), item(6)].map(|name| Object::from_borrowed(name)),
            _code: code.clone(),
            globals: globals.clone(),
        }
    };
    let known = Rc::new(known);
    enter(&interpreter::here().functions.known, Place::new(code, globals), known.clone());
    Ok(known)
}

/// The template in this interpreter; `is_whole` if no globals are sent beside it.
fn loaded(definition: &Arc<Definition>, is_whole: bool) -> Result<Rc<Loaded>> {
    let caches = &interpreter::here().functions;
    let known = caches.loaded.borrow().get(&definition.id()).cloned();
    match known {
        Some(known) => Ok(known),
        None => load(definition, is_whole),
    }
}

#[cold]
fn load(definition: &Arc<Definition>, is_whole: bool) -> Result<Rc<Loaded>> {
    let caches = &interpreter::here().functions;
    let function = object::call(SHIPPING, c"load", [&definition::object(definition)?])?;
    let code = function.get(c"__code__")?;
    let globals = function.get(c"__globals__")?;
    let place = Place::new(&code, &globals);
    let name = function.get(c"__name__")?;
    let qualified_name = function.get(c"__qualname__")?;
    let same_name = name.as_str()? == code.get(c"co_name")?.as_str()?;
    // Sent on from here, it is the same template, as long as it is nobody's who knows more of it.
    if is_whole && !definition.is_from_here() && !caches.known.borrow().contains_key(&place) {
        let known = Known {
            definition: definition.clone(),
            guards: Box::default(),
            volatile: false,
            varying: Box::default(),
            names: [name.clone(), qualified_name.clone()],
            _code: code.clone(),
            globals: globals.clone(),
        };
        enter(&caches.known, place, Rc::new(known));
    }
    let name = (!same_name).then_some(name);
    let loaded = Rc::new(Loaded { function, code, globals, qualified_name, name });
    enter(&caches.loaded, definition.id(), loaded.clone());
    Ok(loaded)
}

impl Loaded {
    /// A function with all its parts.
    fn with(&self, own: &Own) -> Result<Object> {
        // SAFETY: what is passed are objects of the kinds that the functions want: code, a dictionary, a
        // string; the result is a new reference, or null.
        let function = unsafe {
            Object::from_owned(ffi::PyFunction_NewWithQualName(
                self.code.as_ptr(),
                self.globals.as_ptr(),
                self.qualified_name.as_ptr(),
            ))?
        };
        if let Some(name) = &self.name {
            // SAFETY: all are alive.
            check(unsafe {
                ffi::PyObject_SetAttrString(function.as_ptr(), c"__name__".as_ptr(), name.as_ptr())
            })?;
        }
        if let Some(defaults) = &own.defaults {
            let defaults = defaults.open()?;
            // SAFETY: they were a tuple when they were packed; the function takes a reference.
            check(unsafe { ffi::PyFunction_SetDefaults(function.as_ptr(), defaults.as_ptr()) })?;
        }
        if let Some(defaults) = &own.keyword_defaults {
            let defaults = defaults.open()?;
            // SAFETY: they were a dictionary when they were packed; the function takes a reference.
            check(unsafe { ffi::PyFunction_SetKwDefaults(function.as_ptr(), defaults.as_ptr()) })?;
        }
        if !own.cells.is_empty() {
            let closure = closure(&own.cells, &function)?;
            // SAFETY: it is a tuple of as many cells as there were; the function takes a reference.
            check(unsafe { ffi::PyFunction_SetClosure(function.as_ptr(), closure.as_ptr()) })?;
        }
        Ok(function)
    }
}

/// A tuple of cells.
fn closure(cells: &[Cell], function: &Object) -> Result<Object> {
    // SAFETY: a new tuple, which nobody else knows, is filled with new references before it is passed on;
    // `PyCell_New` takes a reference of its own, or null for an empty cell.
    unsafe {
        let closure = Object::from_owned(ffi::PyTuple_New(cells.len() as ffi::Py_ssize_t))?;
        for (index, cell) in cells.iter().enumerate() {
            let cell = match cell {
                Cell::Empty => ffi::PyCell_New(ptr::null_mut()),
                Cell::Function => ffi::PyCell_New(function.as_ptr()),
                Cell::Value(parcel) => ffi::PyCell_New(parcel.open()?.as_ptr()),
            };
            let cell = Object::from_owned(cell)?.into_ptr();
            check(ffi::PyTuple_SetItem(closure.as_ptr(), index as ffi::Py_ssize_t, cell))?;
        }
        Ok(closure)
    }
}

/// What a function of the C API returns that has no result.
fn check(status: std::ffi::c_int) -> Result<()> {
    if status < 0 { Err(Raised::already()) } else { Ok(()) }
}

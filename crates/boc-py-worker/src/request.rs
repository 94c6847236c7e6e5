//! What a behaviour asks for: its cowns and its arguments.

use boc_core::{
    ExecutorRef,
    raw::{self, Access, Held, Label, Mode, ResultCown},
};
use pyo3_ffi::{self as ffi, PyObject};
use smallvec::SmallVec;
use std::{collections::HashSet, sync::Arc};

use crate::{
    atomic,
    behaviour::Body,
    contents::Contents,
    cown::{self, Cown},
    departure::Departure,
    ending,
    errand::{Argument, Errand},
    error::{self, Raised, Result},
    function::Function,
    interpreter,
    kept::Kept,
    label,
    object::{Object, class_name},
    parcel::Parcel,
    pinned,
    pool::{self, Refusal, Target},
    reading,
    scope::{self, Scope},
    signature,
};

/// The cowns that a behaviour needs, and its arguments.
#[derive(Default)]
pub(crate) struct Request {
    /// Each once.
    cowns: SmallVec<[Wanted; 4]>,
    /// The addresses of the cowns, once there are too many to look through.
    known: Option<HashSet<usize>>,
    /// The arguments, if they are anything else than the cowns in their order.
    arguments: Option<Vec<Given>>,
    /// How many arguments there are.
    count: usize,
}

/// A cown, and what the behaviour does with it.
struct Wanted {
    object: Object,
    mode: Mode,
}

/// Where a behaviour goes.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) target: Target<'a>,
    refusal: Refusal,
    /// What runs it, if it is for the main thread.
    pub(crate) to_main: Option<&'a ExecutorRef>,
    function: &'a Object,
}

impl Way<'_> {
    /// What it is called for who looks from outside.
    pub(crate) fn label(&self) -> Option<Label> {
        label::of(self.function)
    }
}

/// An argument.
enum Given {
    /// The cown at this place.
    Cown(usize),
    /// A list of cowns, which are at these places.
    Cowns(Object, Box<[usize]>),
    /// What was captured.
    Value(Object),
}

impl Request {
    /// Takes one argument in: a cown, or a sequence of cowns.
    ///
    /// # Safety
    ///
    /// The object is alive.
    pub(crate) unsafe fn add(&mut self, argument: *mut PyObject) -> Result<()> {
        // SAFETY: passed on to the caller.
        unsafe {
            let (argument, mode) = reading::to_read(argument);
            if is_cown(argument) {
                let (place, fresh) = self.add_cown(argument, mode);
                if !fresh {
                    self.become_explicit();
                }
                if let Some(arguments) = &mut self.arguments {
                    arguments.push(Given::Cown(place));
                }
            } else {
                let members =
                    sequence(argument).ok_or_else(|| wrong_argument(self.count, argument))??;
                self.become_explicit();
                let size = ffi::PyList_Size(members.as_ptr());
                let mut places = Vec::with_capacity(size as usize);
                for index in 0..size {
                    let given = ffi::PyList_GetItem(members.as_ptr(), index);
                    let (member, own_mode) = reading::to_read(given);
                    if !is_cown(member) {
                        return Err(wrong_argument(self.count, member));
                    }
                    let mode = if own_mode == Mode::Read { own_mode } else { mode };
                    places.push(self.add_cown(member, mode).0);
                    if member != given {
                        // The function gets the cown itself.
                        let member = Object::from_borrowed(member).into_ptr();
                        ffi::PyList_SetItem(members.as_ptr(), index, member);
                    }
                }
                if let Some(arguments) = &mut self.arguments {
                    arguments.push(Given::Cowns(members, places.into()));
                }
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Takes a value in that the function gets behind the cowns.
    pub(crate) fn capture(&mut self, value: Object) {
        self.become_explicit();
        if let Some(arguments) = &mut self.arguments {
            arguments.push(Given::Value(value));
        }
        self.count += 1;
    }

    /// Adds a cown, unless it is there already; says at which place, and whether it was added.
    ///
    /// # Safety
    ///
    /// It is an object of the class, and alive.
    unsafe fn add_cown(&mut self, object: *mut PyObject, mode: Mode) -> (usize, bool) {
        /// Up to so many, looking through is quicker than hashing.
        const FEW: usize = 16;
        // SAFETY: passed on to the caller.
        let address = unsafe { address(object) };
        // SAFETY: they are objects of the class, and alive.
        let address_of = |wanted: &Wanted| unsafe { self::address(wanted.object.as_ptr()) };
        let is_known = self.cowns.len() < FEW || {
            let all = || self.cowns.iter().map(address_of);
            !self.known.get_or_insert_with(|| all().collect()).insert(address)
        };
        let find = || self.cowns.iter().position(|wanted| address_of(wanted) == address);
        if let Some(place) = is_known.then(find).flatten() {
            if mode == Mode::Write {
                self.cowns[place].mode = mode;
            }
            return (place, false);
        }
        // SAFETY: passed on to the caller.
        self.cowns.push(Wanted { object: unsafe { Object::from_borrowed(object) }, mode });
        (self.cowns.len() - 1, true)
    }

    /// From now on the arguments are not just the cowns in their order.
    fn become_explicit(&mut self) {
        if self.arguments.is_none() {
            self.arguments = Some((0..self.count).map(Given::Cown).collect());
        }
    }

    /// Schedules a function over the request. Returns the result.
    pub(crate) fn schedule(&self, function: &Object) -> Result<Object> {
        signature::check(function, self.count)?;
        self.cowns().try_for_each(Cown::check_scheduled)?;
        interpreter::here().release_given_up();
        pool::with_target(|target, refusal| {
            let to_main = self.is_pinned().then(pinned::executor);
            let way = Way { target, refusal, to_main, function };
            if !target.by_value {
                let work = || self.body(function);
                return self.schedule_on(way, Departure::new(), work, Body::run);
            }
            let mut departure = Departure::new();
            if to_main.is_some() && interpreter::here().is_main() {
                // It runs here as well, so that only what other behaviours use has to be packed.
                if let Err(raised) = self.pack_cowns(function, &mut departure) {
                    return Some(Err(raised));
                }
                let work = || self.body(function);
                return self.schedule_on(way, departure, work, Body::run_among_copies);
            }
            let errand = match self.errand(function, &mut departure) {
                Ok(errand) => errand,
                Err(raised) => return Some(Err(raised)),
            };
            self.schedule_on(way, departure, || errand, Errand::run)
        })??
        .into_object()
    }

    /// `None` if the pool takes no more, and another one is to be tried.
    fn schedule_on<W: Send + 'static>(
        &self,
        way: Way<'_>,
        departure: Departure,
        work: impl FnOnce() -> W,
        run: fn(W, Held<'_>, &mut Contents),
    ) -> Option<Result<Cown>> {
        match way.to_main {
            None => self.schedule_to(way, departure, work, run),
            Some(_) => self.schedule_to(way, departure, || (work(), run), pinned::run_noted),
        }
    }

    /// As [`Self::schedule_on`].
    fn schedule_to<W: Send + 'static>(
        &self,
        way: Way<'_>,
        departure: Departure,
        work: impl FnOnce() -> W,
        run: fn(W, Held<'_>, &mut Contents),
    ) -> Option<Result<Cown>> {
        if atomic::is_open() {
            return self.add_to_block(way, departure, work(), run);
        }
        let (executor, count) = (way.target.executor, self.cowns.len());
        let begun = match way.to_main {
            None => raw::begin(executor, count),
            Some(main) => raw::begin_elsewhere(executor, main, count),
        };
        if begun.is_none() && way.refusal == Refusal::IsTold {
            return None;
        }
        // What is cancelled at once takes nothing along.
        let left = begun.is_some().then(|| departure.go()).transpose();
        let _left = match left {
            Ok(left) => left,
            Err(raised) => return Some(Err(raised)),
        };
        let (scope, run) = in_scope(work(), run);
        let cowns = self.accesses();
        // SAFETY: `self` refers to the cowns.
        let scheduled = unsafe {
            match begun {
                Some(begun) => begun.when(cowns, || way.label(), Contents::default(), run),
                // Which cancels it.
                None => {
                    let cowns: SmallVec<[Access; 4]> = cowns.collect();
                    raw::when(executor, &cowns, Contents::default(), run)
                }
            }
        };
        let scheduled = scheduled.map(|result| known_to(scope, result));
        Some(scheduled.map_err(|duplicate| error::type_error(duplicate.to_string())))
    }

    /// Schedules it with the others of the block that this thread is in. `None` if the pool takes no more.
    fn add_to_block<W: Send + 'static>(
        &self,
        way: Way<'_>,
        departure: Departure,
        work: W,
        run: fn(W, Held<'_>, &mut Contents),
    ) -> Option<Result<Cown>> {
        let (scope, run) = in_scope(work, run);
        let cowns: SmallVec<[Access; 4]> = self.accesses().collect();
        // SAFETY: `self` refers to the cowns, each of which it has once.
        let added = unsafe { atomic::add(way, &cowns, departure, run) };
        let stopped =
            || error::runtime_error("the workers were stopped inside of a block of atomic()");
        Some(added.and_then(|added| Ok(known_to(scope, added.ok_or_else(stopped)?))))
    }

    fn cowns(&self) -> impl ExactSizeIterator<Item = &Cown> {
        // SAFETY: they are objects of the class, which `self` keeps alive.
        self.cowns.iter().map(|wanted| unsafe { crate::class::value(wanted.object.as_ptr()) })
    }

    fn accesses(&self) -> impl ExactSizeIterator<Item = Access> {
        let modes = self.cowns.iter().map(|wanted| wanted.mode);
        self.cowns().zip(modes).map(|(cown, mode)| Access { cown: cown.address(), mode })
    }

    /// Whether it is for the main thread.
    fn is_pinned(&self) -> bool {
        self.cowns().any(Cown::is_pinned)
    }

    /// For the main interpreter.
    fn body(&self, function: &Object) -> Body {
        // SAFETY: all of them are alive, and objects of the main interpreter, to which the thread is attached.
        let keep = |object: &Object| unsafe { Kept::for_others(object.as_ptr()) };
        let given = |given: &Given| match given {
            Given::Cown(place) => keep(&self.cowns[*place].object),
            Given::Cowns(object, _) | Given::Value(object) => keep(object),
        };
        Body {
            function: keep(function),
            cowns: self.cowns.iter().map(|wanted| keep(&wanted.object)).collect(),
            arguments: self.arguments.as_ref().map(|all| all.iter().map(given).collect()),
        }
    }

    /// For any interpreter.
    fn errand(&self, function: &Object, departure: &mut Departure) -> Result<Errand> {
        // The cowns come last, since some of them are held from then on, and the rest can run the program's code.
        let packed = Function::of(function, departure)?;
        let arguments = self.packed(function, departure)?;
        self.pack_cowns(function, departure)?;
        Ok(Errand { function: packed, arguments })
    }

    fn pack_cowns(&self, function: &Object, departure: &mut Departure) -> Result<()> {
        self.cowns().enumerate().try_for_each(|(place, cown)| {
            cown.make_ready_to_go(departure, "value").or_else(|raised| {
                let what = self.value_name(function, place, raised);
                cown.make_ready_to_go(departure, &what)
            })
        })
    }

    /// What the function calls the value of the cown at a place, for the error that says why it cannot go. That which
    /// says so now is forgotten.
    fn value_name(&self, function: &Object, place: usize, raised: Raised) -> String {
        raised.clear();
        let name = |index| parameter(function, index);
        let Some(arguments) = &self.arguments else {
            return name(place).map_or_else(|| "value".to_owned(), |name| format!("{name}.value"));
        };
        let names = arguments.iter().enumerate().filter_map(|(index, given)| match given {
            Given::Cown(at) if *at == place => Some(format!("{}.value", name(index)?)),
            Given::Cowns(_, places) => {
                let at = places.iter().position(|at| *at == place)?;
                Some(format!("{}[{at}].value", name(index)?))
            }
            _ => None,
        });
        { names }.next().unwrap_or_else(|| "value".to_owned())
    }

    /// The arguments for any interpreter.
    fn packed(
        &self,
        function: &Object,
        departure: &mut Departure,
    ) -> Result<Option<Box<[Argument]>>> {
        let Some(arguments) = &self.arguments else { return Ok(None) };
        let packed = arguments.iter().enumerate().map(|(index, given)| match given {
            Given::Cown(place) => Ok(Argument::Cown(*place)),
            Given::Cowns(_, places) => Ok(Argument::Cowns(places.clone())),
            Given::Value(object) => Parcel::pack_for(departure, "value", object)
                .or_else(|raised| {
                    raised.clear();
                    let name = parameter(function, index);
                    let name = name.unwrap_or_else(|| format!("argument {}", index + 1));
                    Parcel::pack_for(departure, &name, object)
                })
                .map(Argument::Value),
        });
        packed.collect::<Result<_>>().map(Some)
    }
}

/// The scope of what this thread schedules now, and a closure that runs the work as part of it.
fn in_scope<W: Send + 'static>(
    work: W,
    run: fn(W, Held<'_>, &mut Contents),
) -> (Option<Arc<Scope>>, impl FnOnce(Held<'_>, &mut Contents) + Send + 'static) {
    let scope = scope::current();
    let within = scope.clone();
    let run = move |held: Held<'_>, result: &mut Contents| {
        scope::within(within, result, |result| run(work, held, result));
    };
    (scope, run)
}

/// The result of a behaviour, of which its scope knows now.
fn known_to(scope: Option<Arc<Scope>>, result: ResultCown<Contents>) -> Cown {
    if let Some(scope) = scope {
        scope.add(&result);
    }
    Cown::result_of(result)
}

/// The parameter that takes an argument, if the function is one of Python, or a method that is bound.
fn parameter(function: &Object, index: usize) -> Option<String> {
    let name = || -> Result<Option<String>> {
        let code = function.get(c"__code__")?;
        // A method has the code of its function, whose first parameter is the object.
        let is_method = function.get(c"__func__").map_err(Raised::clear).is_ok();
        let index = index + usize::from(is_method);
        let (names, count) = (code.get(c"co_varnames")?, code.get(c"co_argcount")?);
        // SAFETY: a code object has a tuple and a number there; what is borrowed becomes a reference at once.
        unsafe {
            if index >= ffi::PyLong_AsSize_t(count.as_ptr()) {
                return Ok(None);
            }
            let name = ffi::PyTuple_GetItem(names.as_ptr(), index as ffi::Py_ssize_t);
            let name = if name.is_null() {
                Err(Raised::already())
            } else {
                Ok(Object::from_borrowed(name))
            };
            Ok(Some(name?.text()))
        }
    };
    name().unwrap_or_else(|raised| {
        raised.clear();
        None
    })
}

/// Whether an object is a cown.
///
/// # Safety
///
/// The object is alive.
pub(crate) unsafe fn is_cown(object: *mut PyObject) -> bool {
    // SAFETY: passed on to the caller.
    unsafe { cown::behind(object) }.is_some()
}

/// # Safety
///
/// It is an object of the class, and alive.
unsafe fn address(object: *mut PyObject) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { crate::class::value::<Cown>(object) }.address().into_raw().as_ptr() as usize
}

/// The members of a sequence as a list of their own; `None` if it is no sequence.
///
/// # Safety
///
/// The object is alive.
pub(crate) unsafe fn sequence(argument: *mut PyObject) -> Option<Result<Object>> {
    // SAFETY: passed on to the caller.
    unsafe {
        if ffi::PyUnicode_Check(argument) != 0 || !is_sequence(argument) {
            return None;
        }
        Some(list(argument))
    }
}

/// Whether the class is one of sequences, as `collections.abc` knows them.
///
/// # Safety
///
/// The object is alive.
unsafe fn is_sequence(argument: *mut PyObject) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        if ffi::PyList_Check(argument) != 0 || ffi::PyTuple_Check(argument) != 0 {
            return true;
        }
        let is_one = || -> Result<bool> {
            let class = crate::object::import("collections.abc")?.get(c"Sequence")?;
            let class = class.as_ptr();
            match ending::guarded(|| ending::PyObject_IsInstance(argument, class)) {
                -1 => Err(Raised::already()),
                answer => Ok(answer != 0),
            }
        };
        is_one().unwrap_or_else(|raised| {
            raised.write_unraisable();
            false
        })
    }
}

/// What is in an iterable, as a list of its own.
///
/// # Safety
///
/// The object is alive.
pub(crate) unsafe fn list(iterable: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller; the result is a new reference, or null.
    unsafe { Object::from_owned(ending::guarded(|| ending::PySequence_List(iterable))) }
}

/// # Safety
///
/// The object is alive.
pub(crate) unsafe fn wrong_argument(index: usize, argument: *mut PyObject) -> Raised {
    // SAFETY: passed on to the caller.
    let (kind, is_callable, is_iterable) = unsafe {
        let iterator = Object::from_owned(ending::guarded(|| ending::PyObject_GetIter(argument)));
        let is_text = ffi::PyUnicode_Check(argument) != 0;
        let is_iterable = crate::class::or_none(iterator).is_some() && !is_text;
        (class_name(argument), ffi::PyCallable_Check(argument) != 0, is_iterable)
    };
    let hint = if is_callable {
        "write @when(cown, …), with parentheses, above the function"
    } else if is_iterable {
        "pass the cowns themselves or a list of them, which cannot be nested"
    } else {
        "wrap it in a Cown, or pass it as a default value of the function"
    };
    error::type_error(format!(
        "can only schedule over cowns or sequences of cowns, but argument {} is or contains an \
         object of type {kind}; {hint}",
        index + 1
    ))
}

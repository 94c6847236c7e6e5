//! `send`, `receive`, `set_tags` and `drain`.
//!
//! The queues are those of [`boc_core::mailbox`]. There is one mailbox for all interpreters of the process, until
//! it forks: the child begins with another one, since in the parent's some thread may have been in the middle of
//! something.

use boc_core::mailbox::{self, DEFAULT_LIMIT, Mailbox, Slot};
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use smallvec::SmallVec;
use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Deref,
    ptr,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use crate::{
    class::{self, NO_METHOD, Table, entered, with_named, with_one},
    error::{self, Raised, Result},
    interpreter, mail,
    message::Message,
    object::{self, Object, class_name, vectorcall},
    patience,
    per_process::PerProcess,
    pool, request, threads,
};

/// What `receive` says in the place of a tag when the time has run out.
const TIMEOUT: &std::ffi::CStr = c"__timeout__";

/// The functions, for the module.
static METHODS: Table<PyMethodDef, 5> = Table::new([
    with_named(c"send", send, SEND),
    with_named(c"receive", receive, RECEIVE),
    with_named(c"set_tags", set_tags, SET_TAGS),
    with_one(c"drain", drain, DRAIN),
    NO_METHOD,
]);

const SEND: &std::ffi::CStr = c"send($module, /, tag, contents)\n--\n\n\
Send a message to whoever receives one with this tag, behaviour or thread, and go on at once.

:param tag: Any string. There are as many tags as are used.
:param contents: The message. On the backend \"direct\" it is the object itself that arrives, on
    \"subinterpreters\" a copy.
:raises TypeError: If the tag is no string, or the message cannot leave its interpreter.
:raises RuntimeError: If the queue of the tag is full: 16,384 messages, unless set_tags() says
    else.";

const RECEIVE: &std::ffi::CStr = c"receive($module, /, tags, timeout=-1, after=None)\n--\n\n\
Take a message out that has one of these tags, and wait for one if there is none.

:param tags: A tag, or a list or tuple of them. Messages of a tag further left come first; those with
    the same tag come in the order in which they were sent.
:param timeout: Seconds to wait at the most; a negative number for no limit.
:param after: What to call when the time has run out, for a value to return.
:return: A pair of the tag and the message; (TIMEOUT, None), or what after() returns, when the
    time has run out.
:raises TypeError: If the tags are no strings, the timeout no number, or `after` cannot be called.
:raises ValueError: If the timeout is nan.
:raises RuntimeError: If there are no tags.
:raises KeyboardInterrupt: On Ctrl-C, within a tenth of a second.";

const SET_TAGS: &std::ffi::CStr = c"set_tags($module, /, tags, *, limit=None)\n--\n\n\
Drop all messages of all tags, and say how many there may be from now on.

In the main program only, not inside of behaviours.

:param tags: The tags that get the limit; an empty list means all. Tags that are not named can be
    used, too, and hold 16,384 messages.
:param limit: How many messages a queue holds before send() raises; None for 16,384.
:raises TypeError: If the tags are no strings, or the limit no integer.
:raises ValueError: If the limit is not positive.
:raises RuntimeError: Inside of a behaviour.";

const DRAIN: &std::ffi::CStr = c"drain($module, tags, /)\n--\n\n\
Drop the messages that have one of these tags, and were sent before.

:param tags: A tag, or a list or tuple of them.
:raises TypeError: If the tags are no strings.";

/// Adds the functions, and the constant `TIMEOUT`.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub(crate) unsafe fn add_functions(module: *mut PyObject) -> Result<()> {
    // SAFETY: passed on to the caller.
    unsafe {
        if ffi::PyModule_AddFunctions(module, METHODS.get()) != 0 {
            return Err(Raised::already());
        }
        crate::module::add(module, c"TIMEOUT", &timeout_tag()?)
    }
}

/// The constant, which each interpreter has once.
fn timeout_tag() -> Result<Object> {
    // SAFETY: callers are attached; the result is a new reference, or null.
    unsafe { Object::from_owned(ffi::PyUnicode_InternFromString(TIMEOUT.as_ptr())) }
}

static MAILBOX: PerProcess<Mailbox<Message>> = PerProcess::new();

/// To be called in a child process, which begins without messages. Those of the parent stay where they are, as
/// a queue may have been in use.
pub fn forget_after_fork() {
    MAILBOX.forget();
}

/// Drops all messages, at the end of the program. On a thread that is attached to the main interpreter.
pub fn clear() {
    MAILBOX.get().drain();
}

/// A slot, as a thread keeps it: a count of references that all threads share would be the way of each message
/// from one core to the other.
type Shared = Rc<Known>;

struct Known {
    tag: Box<str>,
    slot: Arc<Slot<Message>>,
}

impl Known {
    fn new(mailbox: &Mailbox<Message>, tag: &str) -> Shared {
        Rc::new(Self { tag: tag.into(), slot: mailbox.slot(tag) })
    }
}

impl Deref for Known {
    type Target = Slot<Message>;

    fn deref(&self) -> &Slot<Message> {
        &self.slot
    }
}

/// The slots that a thread has used, of one mailbox.
struct Used {
    mailbox: *const Mailbox<Message>,
    /// The one that was used last, which most often is the next one as well.
    last: Shared,
    by_tag: HashMap<Box<str>, Shared, BuildHasherDefault<TagHasher>>,
}

/// A thread keeps no more slots than that.
const KEPT: usize = 64;

thread_local! {
    static USED: RefCell<Option<Used>> = const { RefCell::new(None) };
}

fn slot(tag: &str) -> Shared {
    let mailbox = MAILBOX.get();
    let mut old = None;
    let slot = USED.with_borrow_mut(|used| {
        if let Some(used) = used
            && ptr::eq(used.mailbox, mailbox)
        {
            if *used.last.tag == *tag {
                return Rc::clone(&used.last);
            }
            if let Some(slot) = used.by_tag.get(tag) {
                used.last = Rc::clone(slot);
                return Rc::clone(slot);
            }
            if used.by_tag.len() < KEPT {
                let slot = Known::new(mailbox, tag);
                used.by_tag.insert(tag.into(), Rc::clone(&slot));
                used.last = Rc::clone(&slot);
                return slot;
            }
        }
        let slot = Known::new(mailbox, tag);
        let by_tag = HashMap::from_iter([(tag.into(), Rc::clone(&slot))]);
        // The last one to have a slot drops the messages in it, which runs code.
        old = used.replace(Used { mailbox, last: Rc::clone(&slot), by_tag });
        slot
    });
    drop(old);
    slot
}

/// Tags are short, and the program's own.
#[derive(Default)]
struct TagHasher(u64);

impl Hasher for TagHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut add = |word: u64| {
            let spread = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 = spread ^ spread >> 32;
        };
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            add(u64::from_ne_bytes(word.try_into().expect("eight bytes")));
        }
        let rest = words.remainder();
        add(rest.iter().fold(rest.len() as u64, |word, &byte| word << 8 | u64::from(byte)));
    }
}

unsafe extern "C" fn send(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let parameters = ["tag", "contents"];
            let [tag, contents] =
                class::arguments("send", parameters, 2, given, positional, names)?;
            let name = name_of(tag)?;
            let slot = slot(name);
            // First, so that nothing has moved into a message that cannot be sent.
            let place = slot.reserve().map_err(|full| is_full(name, full.limit))?;
            place.send(Message::new("contents", contents)?);
        }
        Ok(Object::none())
    })
}

#[cold]
fn is_full(tag: &str, limit: usize) -> Raised {
    error::runtime_error(format!(
        "the queue of the tag {tag:?} is full: it holds {limit} messages that nobody has received; receive() or \
         drain() makes room, and set_tags([{tag:?}], limit=...) gives it more"
    ))
}

/// The text of a tag, in UTF-8.
///
/// # Safety
///
/// The thread is attached, and the object alive, also as long as the text is used.
unsafe fn name_of<'a>(tag: *mut PyObject) -> Result<&'a str> {
    // SAFETY: passed on to the caller.
    unsafe {
        if ffi::PyUnicode_Check(tag) == 0 {
            let kind = class_name(tag);
            return Err(error::type_error(format!("a tag must be a str, not {kind}")));
        }
        object::characters(tag)
    }
}

/// A tag, which has a form in UTF-8.
///
/// # Safety
///
/// The thread is attached, and the object alive.
unsafe fn checked(tag: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller.
    unsafe {
        name_of(tag)?;
        Ok(Object::from_borrowed(tag))
    }
}

/// The tags of an argument: one, or several.
fn tags_of(function: &str, argument: &Object) -> Result<SmallVec<[Object; 4]>> {
    let mut tags = SmallVec::new();
    // SAFETY: the object is alive; the list is this function's own, and keeps its items.
    unsafe {
        if ffi::PyUnicode_Check(argument.as_ptr()) != 0 {
            tags.push(checked(argument.as_ptr())?);
            return Ok(tags);
        }
        let list = match request::list(argument.as_ptr()) {
            Ok(list) => list,
            Err(raised) if raised.is(ffi::PyExc_TypeError) => {
                raised.clear();
                let kind = class_name(argument.as_ptr());
                return Err(error::type_error(format!(
                    "the tags of {function}() must be a str, or a list or tuple of them, not {kind}"
                )));
            }
            Err(raised) => return Err(raised),
        };
        for index in 0..ffi::PyList_Size(list.as_ptr()) {
            let tag = ffi::PyList_GetItem(list.as_ptr(), index);
            tags.push(checked(tag)?);
        }
    }
    Ok(tags)
}

unsafe extern "C" fn receive(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        let (tags, timeout, after) = unsafe {
            if positional == 1 && names.is_null() && ffi::PyUnicode_Check(*given) != 0 {
                // What is there under one tag needs none of the rest.
                if let Some(message) = slot(name_of(*given)?).take() {
                    return pair(Object::from_borrowed(*given), message.into_object()?);
                }
            }
            let parameters = ["tags", "timeout", "after"];
            let [tags, timeout, after] =
                class::arguments("receive", parameters, 1, given, positional, names)?;
            let tags = tags_of("receive", &Object::from_borrowed(tags))?;
            (tags, timeout_of(timeout)?, callable(after)?)
        };
        if tags.is_empty() {
            return Err(error::runtime_error("receive() needs at least one tag to wait for"));
        }
        match wait_for(&tags, timeout)? {
            Some((index, message)) => pair(tags[index].clone(), message.into_object()?),
            None => match after {
                // SAFETY: it is alive during the call, and gets no arguments.
                Some(after) => unsafe { vectorcall(after.as_ptr(), ptr::null(), 0) },
                None => pair(timeout_tag()?, Object::none()),
            },
        }
    })
}

fn pair(first: Object, second: Object) -> Result<Object> {
    // SAFETY: attached, as there are objects; the tuple is new, and takes the references.
    unsafe {
        let pair = Object::from_owned(ffi::PyTuple_New(2))?;
        ffi::PyTuple_SET_ITEM(pair.as_ptr(), 0, first.into_ptr());
        ffi::PyTuple_SET_ITEM(pair.as_ptr(), 1, second.into_ptr());
        Ok(pair)
    }
}

/// Seconds, or none for ever.
///
/// # Safety
///
/// The thread is attached; the object is alive, or null.
unsafe fn timeout_of(object: *mut PyObject) -> Result<Option<f64>> {
    if object.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on to the caller.
    let seconds = unsafe { patience::seconds(object, "a number of seconds, or -1 for no limit") }?;
    Ok(Some(seconds).filter(|seconds| *seconds >= 0.0))
}

/// # Safety
///
/// As for [`timeout_of`].
unsafe fn callable(after: *mut PyObject) -> Result<Option<Object>> {
    // SAFETY: passed on to the caller.
    unsafe {
        if after.is_null() || after == ffi::Py_None() {
            return Ok(None);
        }
        if ffi::PyCallable_Check(after) == 0 {
            let kind = class_name(after);
            return Err(error::type_error(format!(
                "after must be a function without parameters, or None, not {kind}"
            )));
        }
        Ok(Some(Object::from_borrowed(after)))
    }
}

/// Waits, in slices, for a message with one of the tags.
fn wait_for(tags: &[Object], timeout: Option<f64>) -> Result<Option<(usize, Message)>> {
    let deadline = patience::deadline(timeout);
    loop {
        // Each time, since a signal's handler may have forked.
        let slots: Result<SmallVec<[Shared; 4]>> =
            tags.iter().map(|tag| Ok(slot(tag.as_str()?))).collect();
        let slots = slots?;
        let slots: SmallVec<[&Slot<Message>; 4]> = slots.iter().map(|slot| &***slot).collect();
        // What is there needs no waiting, and so nobody detaches.
        let there = slots.iter().enumerate().find_map(|(n, slot)| Some((n, slot.take()?)));
        if there.is_some() {
            return Ok(there);
        }
        let (until, is_last) = patience::slice(deadline);
        if !is_last || until > Instant::now() {
            let found = threads::detached(|| mailbox::receive(&slots, Some(until)));
            if found.is_some() {
                return Ok(found);
            }
        }
        mail::deliver(Some(patience::SLICE))?;
        patience::look_up()?;
        if is_last {
            return Ok(None);
        }
    }
}

unsafe extern "C" fn set_tags(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        let (tags, limit) = unsafe {
            let parameters = ["tags", "limit"];
            if positional > 1 {
                return Err(error::type_error(
                    "set_tags() takes the tags by position, and the limit by its name",
                ));
            }
            let [tags, limit] =
                class::arguments("set_tags", parameters, 1, given, positional, names)?;
            (tags_of("set_tags", &Object::from_borrowed(tags))?, limit_of(limit)?)
        };
        if !interpreter::here().is_main() || pool::inside_behaviour() {
            return Err(error::runtime_error(
                "set_tags() inside of a behaviour would drop the messages of others: call it in the main \
                 program, before behaviours are scheduled; drain() drops those of some tags",
            ));
        }
        let tags: Result<Vec<&str>> = tags.iter().map(Object::as_str).collect();
        let tags = tags?;
        let mailbox = MAILBOX.get();
        mailbox.set_limit(&[], if tags.is_empty() { limit } else { DEFAULT_LIMIT });
        if !tags.is_empty() {
            mailbox.set_limit(&tags, limit);
        }
        mailbox.drain();
        Ok(Object::none())
    })
}

/// # Safety
///
/// As for [`timeout_of`].
unsafe fn limit_of(limit: *mut PyObject) -> Result<usize> {
    // SAFETY: passed on to the caller.
    unsafe {
        if limit.is_null() || limit == ffi::Py_None() {
            return Ok(DEFAULT_LIMIT);
        }
        if ffi::PyLong_Check(limit) == 0 || ffi::PyBool_Check(limit) != 0 {
            let kind = class_name(limit);
            return Err(error::type_error(format!("limit must be an int or None, not {kind}")));
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(limit, &raw mut overflow);
        if overflow > 0 {
            return Ok(usize::MAX);
        }
        usize::try_from(number).ok().filter(|limit| *limit > 0 && overflow == 0).ok_or_else(|| {
            let text = Object::from_borrowed(limit).text();
            error::value_error(format!("limit must be at least 1, not {text}"))
        })
    }
}

unsafe extern "C" fn drain(_: *mut PyObject, tags: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the object is alive during the call.
        let tags = unsafe { Object::from_borrowed(tags) };
        for tag in &tags_of("drain", &tags)? {
            slot(tag.as_str()?).drain();
        }
        Ok(Object::none())
    })
}

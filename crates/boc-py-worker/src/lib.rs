//! What the Python package does in every interpreter of the process, on the bare C API of Python.
//!
//! PyO3 has one set of types and one memory of threads for the whole process, so that none of it can be
//! used in a sub-interpreter with a GIL of its own. What both the main interpreter and workers need is
//! therefore here, once.
//!
//! Objects and interpreters:
//! - [`object`], [`error`]: references to objects, calls, exceptions;
//! - [`kept`]: references to objects of the main interpreter that any thread can give up;
//! - [`interpreter`]: the interpreters, and visits to another one;
//! - [`mail`]: what other threads leave for the main interpreter to do;
//! - [`threads`], [`patience`]: attaching, detaching, and waiting so that Ctrl-C is answered;
//! - [`ending`]: calls of Python code during which the interpreter may end;
//! - [`orphan`]: forks on a worker;
//! - [`per_process`]: what there is once, and anew in a child process;
//! - [`class`], [`module`]: what all classes have in common, and what the module has.
//!
//! Values:
//! - [`parcel`], [`thing`], [`buffer`]: values that can go to any interpreter, and what goes by reference;
//! - [`departure`]: what moves when they go;
//! - [`function`], [`definition`]: functions and classes that can;
//! - [`failure`]: exceptions that can;
//! - [`value`], [`resident`]: the value of a cown, wherever it is.
//!
//! Behaviours:
//! - [`cown`], [`contents`]: the class `Cown`, and what a cown holds;
//! - [`when`], [`request`], [`signature`]: from the arguments of `when` to a behaviour;
//! - [`behaviour`], [`errand`]: those that run in the main interpreter, and those that run in any;
//! - [`reading`]: cowns that a behaviour only reads;
//! - [`label`]: what they are called for who looks from outside;
//! - [`pool`]: which executor they go to;
//! - [`pinned`]: those that the main thread runs;
//! - [`worker`]: workers with interpreters of their own;
//! - [`watched`]: what those take over from the program, and whether it has changed;
//! - [`atomic`]: blocks whose behaviours are scheduled as one step;
//! - [`scope`]: behaviours that are waited for together;
//! - [`debug`]: whether they are asked who else can reach what they hold;
//! - [`unseen`]: exceptions that nobody looked at;
//! - [`callbacks`]: what is to be called when behaviours have ended.
//!
//! Beside cowns:
//! - [`message`]: values on their way;
//! - [`messages`]: queues of them, under tags;
//! - [`noticeboard`]: values that everybody can read.

pub mod atomic;
pub mod buffer;
pub mod callbacks;
pub mod class;
pub mod contents;
pub mod cown;
pub mod definition;
pub mod ending;
pub mod error;
pub mod function;
pub mod interpreter;
pub mod kept;
pub mod mail;
pub mod messages;
pub mod module;
pub mod noticeboard;
pub mod object;
pub mod orphan;
pub mod parcel;
pub mod patience;
pub mod pinned;
pub mod pool;
pub mod scope;
pub mod thing;
pub mod threads;
pub mod unseen;
pub mod value;
pub mod watched;
pub mod when;
pub mod worker;

mod behaviour;
pub mod debug;
mod departure;
mod errand;
pub mod failure;
mod label;
mod message;
mod per_process;
mod reading;
mod request;
pub mod resident;
mod signature;
mod weak;

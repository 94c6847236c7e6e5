//! Memory that goes to another interpreter without being copied.
//!
//! - [`block`]: the memory;
//! - [`class`]: the class `Buffer`, an object of which has a block while no parcel has it;
//! - [`source`]: from the arguments of `Buffer` to a block;
//! - [`moving`]: from a `Buffer` into a passage;
//! - [`passage`]: a block inside of a parcel.
//!
//! Whoever can write to a block is alone: sending a `Buffer` takes the block out of it, opening the parcel
//! puts it into a new `Buffer`. A parcel that is opened to be read has its block in several `Buffer`s,
//! which are all read-only.

mod block;
mod class;
mod moving;
mod passage;
mod source;

pub(crate) use self::moving::Moving;
pub use self::{
    class::{make_class, object, object_copied, object_to_read},
    passage::Passage,
};

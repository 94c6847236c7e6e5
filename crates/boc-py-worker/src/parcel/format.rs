//! How a value is written.
//!
//! A value is a tag, and what the tag says comes behind it; containers are followed by their items. A
//! tag with [`SHARED`] says that the object can be met again: it has the next number, and [`REFERENCE`]
//! with that number stands for it. Lists and dicts have their number before their items are read, so
//! that they can be their own items; tuples, which cannot be made before their items, have it after.
//!
//! This is read by the process that has written it, so everything is in the machine's byte order.

/// Is added to the tag of an object that has a number.
pub(super) const SHARED: u8 = 0x80;

pub(super) const NONE: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
/// An `int` of one byte.
pub(super) const INT8: u8 = 3;
/// An `int` of four bytes.
pub(super) const INT32: u8 = 4;
/// An `int` of eight bytes.
pub(super) const INT64: u8 = 5;
/// A length, and an `int` of that many bytes.
pub(super) const BIG_INT: u8 = 6;
/// Eight bytes.
pub(super) const FLOAT: u8 = 7;
/// Twice eight bytes.
pub(super) const COMPLEX: u8 = 8;
/// A length, and that many characters of one byte.
pub(super) const STR1: u8 = 9;
/// A length, and that many characters of two bytes.
pub(super) const STR2: u8 = 10;
/// A length, and that many characters of four bytes.
pub(super) const STR4: u8 = 11;
/// A length, and that many bytes.
pub(super) const BYTES: u8 = 12;
/// What has a tag up to this refers to no other object.
pub(super) const LAST_ATOM: u8 = BYTES;
/// A length, and that many values.
pub(super) const TUPLE: u8 = 13;
/// A length, and that many values.
pub(super) const LIST: u8 = 14;
/// A length, and that many pairs of values.
pub(super) const DICT: u8 = 15;
/// A length, which is the number of an object.
pub(super) const REFERENCE: u8 = 16;
/// A length, which is the index of a thing.
pub(super) const THING: u8 = 17;

/// A length below this is one byte.
pub(super) const LENGTH32: u8 = 254;
/// A length is this, and eight bytes; or [`LENGTH32`] and four bytes.
pub(super) const LENGTH64: u8 = 255;

/// How many containers can be inside of each other. Deeper values are left to pickle, which raises
/// `RecursionError` where it must.
pub(super) const DEPTH: u32 = 200;

//! Memory that is asked for: who needs it hears when there is none, and the
//! process goes on.
#![allow(unsafe_code)]

/// A slice of `length` times the same value.
pub fn filled<T: Copy>(length: usize, value: T) -> Option<Box<[T]>> {
    let mut values = Vec::new();
    values.try_reserve_exact(length).ok()?;
    values.resize(length, value);
    Some(values.into_boxed_slice())
}

/// What `Box::new` gives.
pub fn boxed<T>(value: T) -> Option<Box<T>> {
    const { assert!(size_of::<T>() > 0, "there is memory for nothing") };
    let mut place = Vec::new();
    place.try_reserve_exact(1).ok()?;
    place.push(value);
    let slice = Box::into_raw(place.into_boxed_slice());
    // SAFETY: one value and a slice of one lie in memory alike.
    Some(unsafe { Box::from_raw(slice.cast()) })
}

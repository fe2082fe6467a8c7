//! The suites of kraube that are about more than one package. What several of them need is in this library.

pub mod model;
pub mod promise;
pub mod sim;

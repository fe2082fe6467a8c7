//! The tests of the core, in one program: a change of the core is linked once, and judged in a moment. A file is a part of
//! the core, or a topic of the standards.

mod challenge;
mod common;
mod device;
mod discovery;
mod doctor;
mod dpop;
mod http;
mod json;
mod keeping;
mod login;
mod machine;
mod machines;
mod names;
mod pkce;
mod provider;
mod push;
mod record;
mod register;
mod revoke;
mod secret;
mod status;
mod token;

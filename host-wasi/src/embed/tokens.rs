//! The interface `kraube:auth/tokens` on a [`TokenSource`]: what an application component is given.
//!
//! The component names neither a file nor a server. It gets the tokens of the one login that the host put into the data
//! of its wasmtime store, and never sees a refresh token. A refresh runs on the source's own thread: it goes on to the
//! stored rotation when the component traps, runs out of fuel, or its call is dropped at a deadline.
//!
//! Components that are given the same source share its token in memory, so one of them can make the others ask anew by
//! rejecting it; how often that leads to a refresh is bounded ([`Policy::reject_floor`](kraube_core::policy::Policy)).

use super::convert;
use crate::bindings::kraube::auth::tokens::Options;
use crate::bindings::types;
use kraube::TokenSource;
use kraube_core::secret::Secret;
use std::borrow::Cow;
use std::time::Duration;
use wasmtime::Result;
use wasmtime::component::{Linker, LinkerInstance};

const INTERFACE: &str = "kraube:auth/tokens@0.1.0";

type Answer = std::result::Result<types::Token, types::Error>;

/// For hosts that call components without async. A refresh blocks the thread that the component runs on.
///
/// # Errors
/// The linker has the interface already.
pub fn add_to_linker<T: 'static>(linker: &mut Linker<T>, source: fn(&T) -> &TokenSource) -> Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap("get-token", move |store, (options,): (Options,)| {
        Ok((answer(asked(source(store.data()), options).blocking_token()),))
    })?;
    add_reject(&mut instance, source)
}

/// For hosts that call components with async. A refresh leaves the thread to others. Dropping the call loses nothing: the
/// refresh goes on.
///
/// # Errors
/// The linker has the interface already.
pub fn add_to_linker_async<T: Send + 'static>(linker: &mut Linker<T>, source: fn(&T) -> &TokenSource) -> Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap_async("get-token", move |store, (options,): (Options,)| {
        Box::new(async move {
            let source = source(store.data());
            Ok((answer(asked(source, options).token().await),))
        })
    })?;
    add_reject(&mut instance, source)
}

fn add_reject<T: 'static>(instance: &mut LinkerInstance<'_, T>, source: fn(&T) -> &TokenSource) -> Result<()> {
    instance.func_wrap("reject", move |store, (value,): (String,)| {
        source(store.data()).reject_secret(&Secret::new(value));
        Ok(())
    })
}

fn asked(source: &TokenSource, options: Options) -> Cow<'_, TokenSource> {
    match options.min_valid {
        0 => Cow::Borrowed(source),
        millis => Cow::Owned(source.min_valid(Duration::from_millis(millis))),
    }
}

#[expect(clippy::result_large_err, reason = "the interface has the error as a record")]
fn answer(result: std::result::Result<kraube::Token, kraube::Error>) -> Answer {
    result.map(|token| convert::token(&token)).map_err(|error| convert::error(&error))
}

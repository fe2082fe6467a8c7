//! A program with a store of its own: a service that keeps the logins of many users in one table, and lends each of them
//! to a token source. The table here is in memory; a database would do the same with a row lock and a conditional update.
//!
//!     cargo run --example own_store -- TOKEN_ENDPOINT CLIENT_ID < refresh-token
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use kraube::TokenSource;
use kraube::core::http::Endpoint;
use kraube::core::machine::{Blob, Revision, StoreError, WriteError};
use kraube::core::provider::{Client, TokenBody};
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::store::{Guard, NotLocked, Store};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The logins of all users.
#[derive(Clone, Default)]
struct Table(Arc<(Mutex<HashMap<String, Row>>, Condvar)>);

#[derive(Default)]
struct Row {
    blob: Option<Blob>,
    locked: bool,
}

/// The login of one user: what a token source is given.
struct Login {
    table: Table,
    user: String,
}

impl Table {
    /// Works on one row, and wakes everybody who waits for a change of it.
    fn row<T>(&self, user: &str, work: impl FnOnce(&mut Row) -> T) -> T {
        let mut rows = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(rows.entry(user.to_owned()).or_default());
        self.0.1.notify_all();
        done
    }
}

impl Login {
    /// The conditional update: nothing is changed unless the row still has the revision that was read.
    fn replace(&self, replaces: Option<Revision>, blob: Option<Blob>) -> Result<(), WriteError> {
        self.table.row(&self.user, |row| {
            if row.blob.as_ref().map(Blob::revision) != replaces {
                return Err(WriteError::Conflict);
            }
            row.blob = blob;
            Ok(())
        })
    }
}

impl Store for Login {
    fn lock(&self, wait: Duration, seen: Option<Revision>) -> Result<Guard, NotLocked> {
        let deadline = Instant::now() + wait;
        let (rows, changed) = &*self.table.0;
        let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let row = rows.entry(self.user.clone()).or_default();
            if !row.locked {
                row.locked = true;
                return Ok(Guard::new(Unlock { table: self.table.clone(), user: self.user.clone() }));
            }
            if seen.is_some() && row.blob.as_ref().map(Blob::revision) != seen {
                return Err(NotLocked::Changed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NotLocked::TimedOut);
            }
            rows = changed.wait_timeout(rows, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn read(&self) -> Result<Option<Blob>, StoreError> {
        Ok(self.table.row(&self.user, |row| row.blob.clone()))
    }

    fn write(&self, replaces: Option<Revision>, blob: &Blob, _reserve: usize) -> Result<(), WriteError> {
        self.replace(replaces, Some(blob.clone()))
    }

    fn delete(&self, replaces: Revision) -> Result<(), WriteError> {
        self.replace(Some(replaces), None)
    }

    fn holds(&self, _guard: &Guard, revision: Revision) -> bool {
        self.table.row(&self.user, |row| row.locked && row.blob.as_ref().map(Blob::revision) == Some(revision))
    }

    fn key(&self) -> String {
        format!("{:p}/{}", Arc::as_ptr(&self.table.0), self.user)
    }

    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Releases the lock when the guard is dropped.
struct Unlock {
    table: Table,
    user: String,
}

impl Drop for Unlock {
    fn drop(&mut self) {
        self.table.row(&self.user, |row| row.locked = false);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(endpoint), Some(client_id)) = (arguments.next(), arguments.next()) else {
        return Err("name the token endpoint and the client id; the refresh token comes on standard input".into());
    };
    let mut refresh_token = String::new();
    std::io::stdin().read_line(&mut refresh_token)?;
    let client = Client {
        name: "example".into(),
        issuer: None,
        token_endpoint: Endpoint::parse(&endpoint)?,
        revocation_endpoint: None,
        client_id,
        body: TokenBody::Form,
        refused_statuses: Vec::new(),
        resource: None,
    };

    let table = Table::default();
    let credentials = Credentials::from_refresh_token(Secret::new(refresh_token.trim()), client);
    table.row("alice", |row| row.blob = Some(credentials.to_blob()));

    // Two parts of the program, one login: one request to the token endpoint.
    let source =
        |user: &str| TokenSource::from_store(Login { table: table.clone(), user: user.into() }, Default::default());
    let (web, worker) = (source("alice"), source("alice"));
    let same = web.blocking_token()?.expose() == worker.blocking_token()?.expose();
    println!("both have the same token: {same}");
    Ok(())
}

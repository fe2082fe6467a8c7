//! A login where no browser can be opened, over SSH say: shows the URL, reads what the person pastes (the code, the code
//! with its state, or the whole address of the page at the end), and stores the credentials.
//!
//!     cargo run --example headless_login -- PROVIDER CLIENT_ID [PATH]
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use kraube::core::login::AuthorizationUrl;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(client_id)) = (arguments.next(), arguments.next()) else {
        return Err("name the provider and your client id".into());
    };
    let path = arguments.next().map(PathBuf::from);
    let provider = kraube::provider::find(&name, path.as_deref(), Some(client_id))?;

    let credentials = kraube::login::login_manual(&provider, ask)?;
    kraube::save_credentials(path.as_deref(), &credentials)?;
    println!("logged in");
    Ok(())
}

/// What is pasted comes on standard input, never as an argument: those can be seen by everybody on the machine.
fn ask(url: &AuthorizationUrl) -> String {
    println!("Open this address, log in, and paste what you are shown:\n\n{url}\n");
    let mut pasted = String::new();
    let _ = std::io::stdin().read_line(&mut pasted);
    pasted
}

//! The guide: pages that are longer than a comment. Where a page refers to another one, its file names that file; the first
//! definition of a reference counts, which for rustdoc is the module.

#[doc = "[login_browser]: self::login_browser"]
#[doc = "[login_device]: self::login_device"]
#[doc = "[login_paste]: self::login_paste"]
#[doc = "[logout]: self::logout"]
#[doc = "[mcp]: self::mcp\n"]
#[doc = include_str!("../docs/login.md")]
pub mod login {}

#[doc = include_str!("../docs/operation.md")]
pub mod operation {}
#[doc = include_str!("../docs/login-browser.md")]
pub mod login_browser {}
#[doc = include_str!("../docs/login-device.md")]
pub mod login_device {}
#[doc = include_str!("../docs/login-paste.md")]
pub mod login_paste {}
#[doc = include_str!("../docs/logout.md")]
pub mod logout {}
#[doc = include_str!("../docs/mcp.md")]
pub mod mcp {}
#[doc = include_str!("../docs/servers.md")]
pub mod servers {}

#[doc = include_str!("../docs/file.md")]
pub mod file {}

#[doc = include_str!("../docs/machines.md")]
#[doc = include_str!("../docs/state-diagram.md")]
pub mod machines {}

#[doc = include_str!("../docs/hosts.md")]
pub mod hosts {}

#[doc = include_str!("../docs/wasi-components.md")]
pub mod wasi_components {}

#[doc = include_str!("../docs/wasi-embedding.md")]
pub mod wasi_embedding {}

#[doc = include_str!("../docs/go.md")]
pub mod go {}

#[doc = include_str!("../docs/reliability.md")]
pub mod reliability {}

#[doc = include_str!("../docs/requirements.md")]
pub mod requirements {}

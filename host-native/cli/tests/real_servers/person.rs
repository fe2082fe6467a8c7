//! A person with a browser, as far as the pages of a server need one: follows redirects, keeps cookies, fills in each form
//! and sends it, until a page has none.

use std::collections::BTreeMap;
use std::io::Read;
use ureq::http::{Response, StatusCode};

/// The last page, and the address it is at.
pub(crate) fn agree(url: &str) -> (String, String) {
    let mut browser = Browser { agent: agent(), cookies: BTreeMap::new() };
    let (mut address, mut page) = browser.open(url.to_owned(), None);
    for _ in 0..10 {
        let Some(form) = Form::on(&page) else { return (address, page) };
        let action = form.action.map_or_else(|| address.clone(), |action| absolute(&address, &action));
        (address, page) = browser.open(action, Some(form.fields));
    }
    panic!("the server asks and asks: {page}");
}

struct Browser {
    agent: ureq::Agent,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn open(&mut self, mut address: String, mut form: Option<BTreeMap<String, String>>) -> (String, String) {
        for _ in 0..10 {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let cookies = cookies.join("; ");
            let response = match form.take() {
                Some(fields) => self.agent.post(&address).header("cookie", cookies).send_form(fields),
                None => self.agent.get(&address).header("cookie", cookies).call(),
            };
            let mut response = response.unwrap_or_else(|error| panic!("{address}: {error}"));
            self.keep_cookies(&response);
            match response.headers().get("location") {
                Some(location) if response.status().is_redirection() => {
                    address = absolute(&address, location.to_str().expect("ASCII"));
                }
                _ => {
                    let mut page = String::new();
                    response.body_mut().as_reader().read_to_string(&mut page).expect("text");
                    assert_eq!(response.status(), StatusCode::OK, "{address}: {page}");
                    return (address, page);
                }
            }
        }
        panic!("redirects without an end at {address}");
    }

    fn keep_cookies<T>(&mut self, response: &Response<T>) {
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII");
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// The one form of a page, filled in.
struct Form {
    action: Option<String>,
    fields: BTreeMap<String, String>,
}

impl Form {
    fn on(page: &str) -> Option<Self> {
        let (_, rest) = page.split_once("<form")?;
        let (form, _) = rest.split_once("</form>").expect("a form ends");
        let (head, inner) = form.split_once('>').expect("a tag ends");
        let mut fields = BTreeMap::new();
        for tag in inner.split("<input").skip(1).filter_map(|rest| rest.split('>').next()) {
            if let Some(name) = attribute(tag, "name") {
                // What is not filled in by the server is typed in: any name and password will do.
                let hidden = attribute(tag, "type").as_deref() == Some("hidden");
                let typed = if hidden { String::new() } else { "somebody".to_owned() };
                fields.insert(name, attribute(tag, "value").unwrap_or(typed));
            }
        }
        // A button that was clicked counts as a field.
        for tag in inner.split("<button").skip(1).filter_map(|rest| rest.split('>').next()) {
            if let (Some(name), Some(value)) = (attribute(tag, "name"), attribute(tag, "value")) {
                fields.entry(name).or_insert(value);
            }
        }
        Some(Self { action: attribute(head, "action"), fields })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}

fn absolute(base: &str, to: &str) -> String {
    if to.starts_with("http") {
        return to.to_owned();
    }
    let end = base.find("://").and_then(|at| base[at + 3..].find('/').map(|path| at + 3 + path));
    format!("{}{to}", &base[..end.unwrap_or(base.len())])
}

fn agent() -> ureq::Agent {
    // A connection for each request: the server may close an idle one at any moment.
    let config = ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false).max_idle_connections(0);
    ureq::Agent::new_with_config(config.http_status_as_error(false).build())
}

//! What people paste: fault 15.

use super::*;
use kraube_core::login::state_in_pasted;

pub(crate) fn pasted(text: &str) -> String {
    code(exchange(&mut begin_manual().0, Callback::Pasted(text)))
}

fn paste_ignored(text: &str) -> Ignored {
    ignored(&mut begin_manual().0, Callback::Pasted(text))
}

#[test]
fn fault_15_pasted_codes() {
    let state = state(&begin_manual().1);
    assert_eq!(pasted("co-de_1"), "co-de_1");
    assert_eq!(pasted(" \t\r\nco-de\n"), "co-de");
    assert_eq!(pasted("\"co-de\""), "co-de");
    assert_eq!(pasted("'co-de'\n"), "co-de");
    assert_eq!(pasted("`co-de`"), "co-de");
    assert_eq!(pasted("\u{1b}[200~co-de\u{1b}[201~\n"), "co-de");
    assert_eq!(pasted("\u{1b}[200~\"co-\r\nde\"\n\u{1b}[201~"), "co-de");
    assert_eq!(pasted(&format!("co-de#{state}")), "co-de");
    let (first, second) = state.split_at(20);
    assert_eq!(pasted(&format!("  co-\nde#{first}\r\n  {second}\n")), "co-de", "a wrapped terminal");
    for (text, reason) in [
        ("", Ignored::Empty),
        (" \n", Ignored::Empty),
        ("\"\"", Ignored::Empty),
        ("\u{1b}[200~\u{1b}[201~", Ignored::Empty),
        ("co\0de", Ignored::Characters),
        ("co\u{7f}de", Ignored::Characters),
        ("\u{1b}[2Jcode", Ignored::Characters),
        ("code\u{a0}", Ignored::Characters),
        ("\u{202e}code", Ignored::Characters),
        ("code#", Ignored::StateMissing),
        ("code#wrong", Ignored::StateMismatch),
        (&format!("#{state}"), Ignored::NoCode),
        (&format!("code#{state}#{state}"), Ignored::Repeated),
        (&format!("code#{state}#"), Ignored::Repeated),
        (&"x".repeat(1024 * 1024), Ignored::TooLong),
    ] {
        assert_eq!(paste_ignored(text), reason, "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn fault_15_pasted_urls() {
    let state = state(&begin_manual().1);
    let right = format!("https://platform.claude.com/oauth/code/callback?code=a%2Bb&state={state}");
    assert_eq!(pasted(&right), "a+b");
    assert_eq!(pasted(&format!("<{right}>")), "a+b");
    assert_eq!(pasted(&format!("{right}#_=_")), "a+b", "a fragment that a browser kept");
    assert_eq!(pasted(&format!("{}\n{}", &right[..60], &right[60..])), "a+b");
    for (text, reason) in [
        (right.replace("platform.claude.com", "evil.example"), Ignored::OtherAddress),
        (right.replace("https", "http"), Ignored::OtherAddress),
        (right.replace("/callback", "/callback/x"), Ignored::OtherAddress),
        (right.replace(".com/", ".com:444/"), Ignored::OtherAddress),
        (right.replace("https://", "https://user@"), Ignored::OtherAddress),
        (format!("x{right}"), Ignored::OtherAddress),
        (begin_manual().1.to_string(), Ignored::OtherAddress),
        ("https://platform.claude.com/oauth/code/callback".into(), Ignored::StateMissing),
        ("https://platform.claude.com/oauth/code/callback?code=c".into(), Ignored::StateMissing),
        (format!("https://platform.claude.com/oauth/code/callback?state={state}"), Ignored::NoCode),
        (format!("{right}x"), Ignored::StateMismatch),
        (format!("{right}&code=d"), Ignored::Repeated),
    ] {
        assert_eq!(paste_ignored(&text), reason, "{text}");
    }
}

#[test]
fn a_redirect_uri_without_a_path_fits_the_address_that_a_browser_shows() {
    let page = Redirect::Page { uri: "https://app.example".into() };
    let (mut pending, url) = Login::begin(&demo(), page, entropy(1)).expect("a valid login");
    let text = format!("https://app.example/?code=c&state={}&iss={ISS}", state(&url));
    assert_eq!(code(exchange(&mut pending, Callback::Pasted(&text))), "c");
}

#[test]
fn a_pasted_state_finds_its_login() {
    let (pending, url) = begin_manual();
    let state = state(&url);
    let found = Some(pending.state_fingerprint());
    assert_eq!(state_in_pasted(&format!("code#{state}")), found);
    assert_eq!(state_in_pasted(&format!("\u{1b}[200~ code#{}\n{}", &state[..9], &state[9..])), found);
    assert_eq!(state_in_pasted(&format!("https://anywhere.example/?code=c&state={state}")), found);
    for text in ["code", "code#", "", "https://a.example/?code=c", "https://a.example/?state=a&state=b", "\0#x"] {
        assert_eq!(state_in_pasted(text), None, "{text}");
    }
    assert_ne!(state_in_pasted("code#other"), found);
}

#[test]
fn a_slash_behind_a_path_makes_another_address() {
    let page = Redirect::Page { uri: "https://app.example/back".into() };
    let (mut pending, url) = Login::begin(&demo(), page, entropy(1)).expect("a valid login");
    let text = |path: &str| format!("https://app.example/{path}?code=c&state={}&iss={ISS}", state(&url));
    assert_eq!(ignored(&mut pending, Callback::Pasted(&text("back/"))), Ignored::OtherAddress);
    assert_eq!(code(exchange(&mut pending, Callback::Pasted(&text("back")))), "c");
}

#[test]
fn answers_of_8_kib_are_read_and_longer_ones_are_not() {
    assert_eq!(pasted(&"x".repeat(8192)).len(), 8192);
    assert_eq!(paste_ignored(&"x".repeat(8193)), Ignored::TooLong);
    let (mut pending, url) = begin(&demo());
    let query = |length: usize| {
        let rest = format!("&state={}&iss={ISS}", state(&url));
        format!("code={}{rest}", "x".repeat(length - rest.len() - 5))
    };
    assert_eq!(ignored(&mut pending, Callback::Query(&query(8193))), Ignored::TooLong);
    exchange(&mut pending, Callback::Query(&query(8192)));
}

#[test]
fn a_callback_shows_its_length_alone() {
    assert_eq!(format!("{:?} {:?}", Callback::Query("abc"), Callback::Pasted("ab")), "Query(3 bytes) Pasted(2 bytes)");
}

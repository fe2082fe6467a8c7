//! Request parameters, read strictly (RFC 6749 section 3.1 and 3.2).

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Names and values in the order of the request.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Of a query or a form body.
    pub(crate) fn form(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// Of a JSON object.
    pub(crate) fn json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// A parameter without a value counts as omitted.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        self.all(name).count() > 1
    }

    /// Whether a parameter stands more than once. `resource` may (RFC 8707 section 2).
    pub(crate) fn any_repeated(&self) -> bool {
        self.0.iter().any(|(name, _)| name != "resource" && self.is_repeated(name))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// By hand, as a map would keep the last of two equal members.
impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Params;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    pairs.push((name, value));
                }
                Ok(Params(pairs))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_repeated_member_of_a_json_object_is_seen() {
        assert!(Params::json(br#"{"code":"a","code":"b"}"#).unwrap().any_repeated());
        assert!(!Params::json(br#"{"code":"a","state":"b"}"#).unwrap().any_repeated());
        assert!(Params::json(br#"["code"]"#).is_none());
    }

    #[test]
    fn a_parameter_without_a_value_is_omitted() {
        assert_eq!(Params::form(b"code=&state=x").get("code"), None);
        assert_eq!(Params::form(b"a=1&a=").get("a"), Some("1"));
        assert!(Params::form(b"a=1&a=").any_repeated());
        assert!(!Params::form(b"resource=https://a&resource=https://b").any_repeated());
    }
}

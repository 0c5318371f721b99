//! Forms and queries: `application/x-www-form-urlencoded` into structs.
//!
//! A repeated key fills a list. An empty text is `None` for an optional field, as an untouched input sends one. A switch
//! counts as on when it says `on`, `true` or `1`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::value::SeqDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};

/// A form that doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default())]
pub struct FormError {
    /// The field that is wrong, when it is one field.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl de::Error for FormError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            field: None,
            message: message.to_string(),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            field: Some(field.to_owned()),
            message: "is missing".to_owned(),
        }
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self {
            field: Some(field.to_owned()),
            message: "is not a field of this form".to_owned(),
        }
    }
}

/// Reads a struct from the body of a form or from a query (without its `?`).
///
/// # Errors
///
/// [`FormError`] with the field, when it is about one.
pub fn parse<T: DeserializeOwned>(encoded: &[u8]) -> Result<T, FormError> {
    let mut fields: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    for (key, value) in form_urlencoded::parse(encoded) {
        match fields.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => fields.push((key, vec![value])),
        }
    }
    T::deserialize(Fields {
        rest: fields.into_iter(),
        value: None,
    })
}

/// Reads a struct from the query of a request's address.
///
/// # Errors
///
/// [`FormError`] with the parameter, when it is about one.
pub fn parse_query<T: DeserializeOwned>(uri: &http::Uri) -> Result<T, FormError> {
    parse(uri.query().unwrap_or_default().as_bytes())
}

struct Fields<'a> {
    rest: std::vec::IntoIter<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
    value: Option<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
}

impl<'de> Deserializer<'de> for Fields<'de> {
    type Error = FormError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_map(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = FormError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, FormError> {
        self.value = self.rest.next();
        match &self.value {
            Some((key, _)) => seed.deserialize(key.clone().into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, FormError> {
        let (key, values) = self.value.take().unwrap_or_default();
        seed.deserialize(Values(values)).map_err(|error| FormError {
            field: error.field.or_else(|| Some(key.into_owned())),
            message: error.message,
        })
    }
}

struct Values<'a>(Vec<Cow<'a, str>>);

impl<'a> Values<'a> {
    fn one(self) -> Result<Cow<'a, str>, FormError> {
        let mut values = self.0;
        match values.pop() {
            Some(value) if values.is_empty() => Ok(value),
            _ => Err(de::Error::custom("is given more than once")),
        }
    }

    fn parsed<T: std::str::FromStr>(self, what: &str) -> Result<T, FormError> {
        let text = self.one()?;
        text.trim()
            .parse()
            .map_err(|_| de::Error::custom(format_args!("is not {what}")))
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $what:literal,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
            visitor.$visit(self.parsed($what)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = FormError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        self.one()?.into_deserializer().deserialize_any(visitor)
    }

    numbers! {
        deserialize_i8 visit_i8 "a small whole number", deserialize_i16 visit_i16 "a small whole number",
        deserialize_i32 visit_i32 "a whole number", deserialize_i64 visit_i64 "a whole number",
        deserialize_u8 visit_u8 "a number from 0 to 255", deserialize_u16 visit_u16 "a number from 0 to 65535",
        deserialize_u32 visit_u32 "a whole number from 0 on", deserialize_u64 visit_u64 "a whole number from 0 on",
        deserialize_f32 visit_f32 "a number", deserialize_f64 visit_f64 "a number",
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        match self.one()?.as_ref() {
            "on" | "true" | "1" => visitor.visit_bool(true),
            "" | "off" | "false" | "0" => visitor.visit_bool(false),
            _ => Err(de::Error::custom("is neither on nor off")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        if self.0.iter().all(|value| value.is_empty()) {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FormError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        let each = self.0.into_iter().map(|value| Self(vec![value]));
        visitor.visit_seq(SeqDeserializer::new(each))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        self.one()?
            .into_deserializer()
            .deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
    }
}

impl<'de> IntoDeserializer<'de, FormError> for Values<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Order {
        #[default]
        Name,
        LastSeen,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Filter {
        text: String,
        limit: Option<u16>,
        label: Vec<String>,
        live: bool,
        order: Order,
    }

    #[derive(Debug, Deserialize)]
    struct Needed {
        #[expect(dead_code, reason = "only its absence is tested")]
        name: String,
    }

    #[test]
    fn a_form_fills_a_struct() {
        let filter: Filter = parse(b"text=a+b%26&label=x&live=on&limit=7&label=y&order=last-seen").unwrap();
        let expected = Filter {
            text: "a b&".to_owned(),
            limit: Some(7),
            label: vec!["x".to_owned(), "y".to_owned()],
            live: true,
            order: Order::LastSeen,
        };
        assert_eq!(filter, expected);
        assert_eq!(parse::<Filter>(b"limit=&text=").unwrap(), Filter::default());
        let uri: http::Uri = "/a?label=z".parse().unwrap();
        assert_eq!(parse_query::<Filter>(&uri).unwrap().label, ["z"]);
    }

    #[test]
    fn an_error_names_its_field() {
        let error = |form: &[u8]| {
            let error = parse::<Filter>(form).unwrap_err();
            (error.field.unwrap(), error.message)
        };
        assert_eq!(
            error(b"limit=70000"),
            ("limit".to_owned(), "is not a number from 0 to 65535".to_owned())
        );
        assert_eq!(
            error(b"text=a&text=b"),
            ("text".to_owned(), "is given more than once".to_owned())
        );
        assert_eq!(error(b"live=maybe").0, "live");
        assert_eq!(error(b"order=size").0, "order");
        assert_eq!(error(b"txet=a").0, "txet");
        assert_eq!(parse::<Needed>(b"").unwrap_err().field.as_deref(), Some("name"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_failing(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _ = parse::<Filter>(&bytes);
        }

        #[test]
        fn a_text_survives_its_encoding(text in ".{0,40}") {
            let encoded = form_urlencoded::Serializer::new(String::new()).append_pair("text", &text).finish();
            proptest::prop_assert_eq!(parse::<Filter>(encoded.as_bytes()).unwrap().text, text);
        }
    }
}

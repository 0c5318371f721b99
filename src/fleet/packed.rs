//! Values kept small: as encoded bytes that are decoded on demand.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A `T` held as its JSON text: a third of the memory of a tree of maps and strings, shared when cloned, and written
/// into records and API bodies as it is. Two are equal when their texts are.
pub struct Packed<T> {
    json: Arc<RawValue>,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Default> Packed<T> {
    /// Packs a value. Values whose serialisation fails (none of ours does) pack as the default.
    #[must_use]
    pub fn new(value: &T) -> Self {
        let json = serde_json::value::to_raw_value(value)
            .or_else(|_| serde_json::value::to_raw_value(&T::default()))
            .unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            json: json.into(),
            of: PhantomData,
        }
    }

    /// The value. A text that no longer decodes (written by a newer version) reads as the default.
    #[must_use]
    pub fn unpack(&self) -> T {
        serde_json::from_str(self.json.get()).unwrap_or_default()
    }
}

impl<T> Packed<T> {
    /// The JSON text.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self {
            json: Arc::clone(&self.json),
            of: PhantomData,
        }
    }
}
impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}
impl<T> Eq for Packed<T> {}
impl<T> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}
impl<T> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}
impl<'de, T> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json: Box<RawValue> = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self {
            json: json.into(),
            of: PhantomData,
        })
    }
}
impl<T: JsonSchema> JsonSchema for Packed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_value_is_itself_again_and_inline_in_json() {
        let packed = Packed::new(&vec![1, 2, 3]);
        assert_eq!(packed.unpack(), vec![1, 2, 3]);
        let json = serde_json::to_string(&packed).unwrap();
        assert_eq!(json, "[1,2,3]");
        assert_eq!(serde_json::from_str::<Packed<Vec<i32>>>(&json).unwrap(), packed);
    }
}

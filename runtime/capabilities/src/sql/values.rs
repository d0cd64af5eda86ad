//! Between the values of guests and those of the server.
//!
//! Most parameters travel as text, which the server reads as the type that the
//! statement gives them; so one kind of value serves for several types. Rows
//! travel in the server's binary form.

use std::error::Error as StdError;
use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use stheno_contracts::Error;
use stheno_contracts::sql::Value;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Column, Row};

/// The first moment of the server's clock, in milliseconds since 1970.
const SERVER_EPOCH_MS: i64 = 946_684_800_000;

type Boxed = Box<dyn StdError + Sync + Send>;

/// Whether the value can be a parameter of the type.
fn fits(value: &Value, ty: &Type) -> bool {
    let integer = [Type::INT2, Type::INT4, Type::INT8];
    let broken = [Type::FLOAT4, Type::FLOAT8, Type::NUMERIC];
    match value {
        Value::Null => true,
        Value::Boolean(_) => *ty == Type::BOOL,
        Value::Int(_) => integer.contains(ty) || broken.contains(ty),
        Value::Float(_) => broken.contains(ty),
        Value::Text(_) => *ty != Type::BYTEA,
        Value::Bytes(_) => *ty == Type::BYTEA,
        Value::Json(_) => [Type::JSON, Type::JSONB].contains(ty),
        Value::Timestamp(_) => [Type::TIMESTAMP, Type::TIMESTAMPTZ].contains(ty),
        Value::Uuid(_) => *ty == Type::UUID,
        Value::Texts(_) => matches!(ty.kind(), Kind::Array(_)),
        Value::Ints(_) => matches!(ty.kind(), Kind::Array(of) if integer.contains(of)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "boolean",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Json(_) => "json",
        Value::Timestamp(_) => "timestamp",
        Value::Uuid(_) => "uuid",
        Value::Texts(_) => "texts",
        Value::Ints(_) => "ints",
    }
}

/// Holds the parameters against what the statement takes.
pub(super) fn check_parameters(values: &[Value], types: &[Type]) -> Result<(), Error> {
    if values.len() != types.len() {
        return Err(Error::InvalidArgument(format!(
            "the statement takes {} parameters, and there are {}",
            types.len(),
            values.len()
        )));
    }
    let wrong = values.iter().zip(types).position(|(value, ty)| !fits(value, ty));
    let Some(at) = wrong else { return Ok(()) };
    let (value, ty) = (values.get(at).map_or("", kind), types.get(at).map_or("", Type::name));
    let place = at + 1;
    Err(Error::InvalidArgument(format!("${place} is {value}, and the statement takes {ty} there")))
}

/// Holds the columns against what a guest can be given.
pub(super) fn check_columns(columns: &[Column], types: &[Type]) -> Result<(), Error> {
    match columns.iter().zip(types).find(|(_, ty)| read_as(ty).is_none()) {
        None => Ok(()),
        Some((column, ty)) => Err(Error::InvalidArgument(format!(
            "column {:?} is of type {}, which no value is for; write it as ::text",
            column.name(),
            ty.name()
        ))),
    }
}

/// About how many bytes a value has.
pub(super) fn weight(value: &Value) -> usize {
    16 + match value {
        Value::Text(text) | Value::Json(text) | Value::Uuid(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Texts(texts) => {
            texts.iter().map(|text| 8 + text.as_ref().map_or(0, String::len)).sum()
        }
        Value::Ints(ints) => 16 * ints.len(),
        _ => 0,
    }
}

/// A value on its way to the server.
pub(super) struct Parameter<'a>(pub(super) &'a Value);

/// Values are nobody's business, so a log of parameters shows none.
impl std::fmt::Debug for Parameter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(kind(self.0))
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(truth) => out.put_slice(if *truth { b"t" } else { b"f" }),
            Value::Int(number) => write!(out, "{number}")?,
            Value::Float(number) if number.is_infinite() => {
                out.put_slice(if *number > 0.0 { b"Infinity" } else { b"-Infinity" });
            }
            Value::Float(number) => write!(out, "{number}")?,
            Value::Text(text) | Value::Json(text) | Value::Uuid(text) => {
                out.put_slice(text.as_bytes());
            }
            Value::Bytes(bytes) => out.put_slice(bytes),
            Value::Timestamp(millis) => out.put_i64(match *millis {
                i64::MAX | i64::MIN => *millis,
                millis => millis
                    .checked_sub(SERVER_EPOCH_MS)
                    .and_then(|millis| millis.checked_mul(1_000))
                    .ok_or("the timestamp is out of range")?,
            }),
            Value::Texts(texts) => {
                array(out, texts.iter(), |out, text| {
                    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
                    write!(out, "\"{escaped}\"")
                })?;
            }
            Value::Ints(ints) => array(out, ints.iter(), |out, int| write!(out, "{int}"))?,
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        // `check_parameters` knows better.
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.0 {
            Value::Bytes(_) | Value::Timestamp(_) => Format::Binary,
            _ => Format::Text,
        }
    }

    to_sql_checked!();
}

/// An array in its text form.
fn array<'a, T: 'a>(
    out: &mut BytesMut,
    elements: impl Iterator<Item = &'a Option<T>>,
    write: impl Fn(&mut BytesMut, &T) -> std::fmt::Result,
) -> Result<(), std::fmt::Error> {
    out.put_u8(b'{');
    for (at, element) in elements.enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        match element {
            None => out.put_slice(b"NULL"),
            Some(element) => write(out, element)?,
        }
    }
    out.put_u8(b'}');
    Ok(())
}

/// How a column is read.
#[derive(Clone, Copy)]
enum ReadAs {
    Nothing,
    Boolean,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytes,
    Json,
    Jsonb,
    Timestamp,
    Uuid,
    Texts,
    Ints2,
    Ints4,
    Ints8,
}

fn read_as(ty: &Type) -> Option<ReadAs> {
    Some(match *ty {
        Type::VOID => ReadAs::Nothing,
        Type::BOOL => ReadAs::Boolean,
        Type::INT2 => ReadAs::Int2,
        Type::INT4 => ReadAs::Int4,
        Type::INT8 => ReadAs::Int8,
        Type::FLOAT4 => ReadAs::Float4,
        Type::FLOAT8 => ReadAs::Float8,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => ReadAs::Text,
        Type::BYTEA => ReadAs::Bytes,
        Type::JSON => ReadAs::Json,
        Type::JSONB => ReadAs::Jsonb,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => ReadAs::Timestamp,
        Type::UUID => ReadAs::Uuid,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => ReadAs::Texts,
        Type::INT2_ARRAY => ReadAs::Ints2,
        Type::INT4_ARRAY => ReadAs::Ints4,
        Type::INT8_ARRAY => ReadAs::Ints8,
        _ => match ty.kind() {
            Kind::Enum(_) => ReadAs::Text,
            _ => return None,
        },
    })
}

/// A value of a row. A type that the client was not told of has passed
/// [`check_columns`] as what has the form of a text.
struct Cell(Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        fn read<'a, T: FromSql<'a>>(ty: &Type, raw: &'a [u8]) -> Result<T, Boxed> {
            T::from_sql(ty, raw)
        }
        fn ints<'a, T: FromSql<'a> + Into<i64>>(ty: &Type, raw: &'a [u8]) -> Result<Value, Boxed> {
            let ints = read::<Vec<Option<T>>>(ty, raw)?;
            Ok(Value::Ints(ints.into_iter().map(|int| int.map(Into::into)).collect()))
        }
        Ok(Self(match read_as(ty).ok_or("a type that no value is for")? {
            ReadAs::Nothing => Value::Null,
            ReadAs::Boolean => Value::Boolean(read(ty, raw)?),
            ReadAs::Int2 => Value::Int(read::<i16>(ty, raw)?.into()),
            ReadAs::Int4 => Value::Int(read::<i32>(ty, raw)?.into()),
            ReadAs::Int8 => Value::Int(read(ty, raw)?),
            ReadAs::Float4 => Value::Float(read::<f32>(ty, raw)?.into()),
            ReadAs::Float8 => Value::Float(read(ty, raw)?),
            ReadAs::Text => Value::Text(read(ty, raw)?),
            ReadAs::Bytes => Value::Bytes(raw.to_vec()),
            ReadAs::Json => Value::Json(text(raw)?),
            // Behind the number of its form, of which there is one.
            ReadAs::Jsonb => Value::Json(text(raw.get(1..).unwrap_or_default())?),
            ReadAs::Timestamp => Value::Timestamp(match i64::from_be_bytes(raw.try_into()?) {
                endless @ (i64::MAX | i64::MIN) => endless,
                micros => micros.div_euclid(1_000) + SERVER_EPOCH_MS,
            }),
            ReadAs::Uuid => Value::Uuid(uuid::Uuid::from_slice(raw)?.to_string()),
            ReadAs::Texts => Value::Texts(read(ty, raw)?),
            ReadAs::Ints2 => ints::<i16>(ty, raw)?,
            ReadAs::Ints4 => ints::<i32>(ty, raw)?,
            ReadAs::Ints8 => ints::<i64>(ty, raw)?,
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        read_as(ty).is_some()
    }
}

fn text(raw: &[u8]) -> Result<String, Boxed> {
    Ok(std::str::from_utf8(raw)?.to_owned())
}

/// Adds the values of a row.
pub(super) fn read_row(row: &Row, values: &mut Vec<Value>) -> Result<(), Error> {
    for at in 0..row.len() {
        let Cell(value) = row.try_get(at).map_err(|error| {
            let name = row.columns().get(at).map_or("", Column::name);
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Error::InvalidArgument(format!("column {name:?} cannot be read: {why}"))
        })?;
        values.push(value);
    }
    Ok(())
}

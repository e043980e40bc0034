//! Hours, days, weeks and months of a time zone as SQL functions: `local_hour(at, 'Europe/Berlin')`, `local_day`,
//! `local_week`, `local_month`.
//!
//! They follow the zone through its changes. A day is the local date, a week its Monday's date, a month `2026-10`; an hour is
//! the local hour with its offset from UTC (`2026-10-25T02:00+02:00`), so that the hour that comes twice in autumn stays two
//! hours. They know no tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, StringBuilder};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// Microseconds of an hour.
const HOUR_MICROS: i64 = 3_600_000_000;

/// All of them.
pub(super) fn functions() -> [ScalarUDF; 4] {
    [Length::Hour, Length::Day, Length::Week, Length::Month].map(|length| ScalarUDF::from(LocalBucket::new(length)))
}

/// How long a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Length {
    Hour,
    Day,
    Week,
    Month,
}

impl Length {
    /// The one of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let named = [("hour", Self::Hour), ("day", Self::Day), ("week", Self::Week), ("month", Self::Month)];
        named.into_iter().find(|(known, _)| *known == name).map(|(_, length)| length)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LocalBucket {
    length: Length,
    signature: Signature,
}

/// A bucket: `[from, to)` in microseconds, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) from: i64,
    pub(super) to: i64,
    label: String,
}

/// The buckets of a zone, as far as they were asked for: rows of many agents come to the same ones again and again.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    length: Length,
    zone: TimeZone,
    known: BTreeMap<i64, Bucket>,
    last: Option<Bucket>,
}

impl Calendar {
    pub(super) fn new(length: Length, zone: &str) -> Result<Self> {
        let zone = TimeZone::get(zone).map_err(outside)?;
        Ok(Self { length, zone, known: BTreeMap::new(), last: None })
    }

    /// The bucket that a moment is in.
    pub(super) fn at(&mut self, micros: i64) -> Result<&Bucket> {
        let within = |bucket: &Bucket| (bucket.from..bucket.to).contains(&micros);
        if !self.last.as_ref().is_some_and(within) {
            let known =
                self.known.range(..=micros).next_back().map(|(_, bucket)| bucket).filter(|b| within(b)).cloned();
            let found = match known {
                Some(bucket) => bucket,
                None => {
                    let bucket = bucket(self.length, &self.zone, micros).map_err(outside)?;
                    self.known.insert(bucket.from, bucket.clone());
                    bucket
                }
            };
            self.last = Some(found);
        }
        self.last.as_ref().ok_or_else(|| DataFusionError::Execution(format!("no bucket holds {micros}")))
    }
}

impl LocalBucket {
    fn new(length: Length) -> Self {
        let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Self { length, signature: Signature::exact(vec![at, DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for LocalBucket {
    fn name(&self) -> &'static str {
        match self.length {
            Length::Hour => "local_hour",
            Length::Day => "local_day",
            Length::Week => "local_week",
            Length::Month => "local_month",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [at, ColumnarValue::Scalar(ScalarValue::Utf8(Some(zone)))] = args.args.as_slice() else {
            return exec_err!("{} takes a time and the name of one time zone", self.name());
        };
        let mut calendar = Calendar::new(self.length, zone)?;
        let at = at.to_array(args.number_rows)?;
        let times = at.as_primitive::<TimestampMicrosecondType>();
        let mut labels = StringBuilder::new();
        for time in times {
            let Some(time) = time else {
                labels.append_null();
                continue;
            };
            labels.append_value(&calendar.at(time)?.label);
        }
        Ok(ColumnarValue::Array(Arc::new(labels.finish())))
    }
}

fn outside(error: jiff::Error) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

fn bucket(length: Length, zone: &TimeZone, micros: i64) -> std::result::Result<Bucket, jiff::Error> {
    let at = Timestamp::from_microsecond(micros)?.to_zoned(zone.clone());
    let (from, days, label) = match length {
        Length::Hour => return Ok(hour(zone, micros, &at)),
        Length::Day => (at.date(), 1, at.date().to_string()),
        Length::Week => {
            let monday = at.date().checked_sub(Span::new().days(at.weekday().to_monday_zero_offset()))?;
            (monday, 7, monday.to_string())
        }
        Length::Month => (at.date().first_of_month(), at.days_in_month(), at.strftime("%Y-%m").to_string()),
    };
    let start = |date: Date| date.to_zoned(zone.clone()).map(|first| first.timestamp().as_microsecond());
    Ok(Bucket { from: start(from)?, to: start(from.checked_add(Span::new().days(days))?)?, label })
}

/// Some zones change within an hour (Lord Howe by half an hour): such an hour ends at the change.
fn hour(zone: &TimeZone, micros: i64, at: &Zoned) -> Bucket {
    let local = micros + i64::from(at.offset().seconds()) * 1_000_000;
    let from = micros - local.rem_euclid(HOUR_MICROS);
    let just_after = at.timestamp() + jiff::SignedDuration::from_micros(1);
    let before = zone.preceding(just_after).next().map_or(i64::MIN, |t| t.timestamp().as_microsecond());
    let after = zone.following(at.timestamp()).next().map_or(i64::MAX, |t| t.timestamp().as_microsecond());
    let label = at.strftime("%Y-%m-%dT%H:00%:z").to_string();
    Bucket { from: from.max(before), to: (from + HOUR_MICROS).min(after), label }
}

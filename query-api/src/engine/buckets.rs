//! Hours, days, weeks and months of a time zone as SQL functions: `local_hour(at, 'Europe/Berlin')`, `local_day`,
//! `local_week`, `local_month`. All but the first take when a day begins: `local_day(at, 'Europe/Berlin', '06:00')`.
//!
//! What they are called, and where they begin and end, is said by [`super::calendar`]. They know no tables.

use std::sync::Arc;

use arrow::array::{AsArray, StringBuilder};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::calendar::{Bucket, Calendar, DayStart};

/// All of them.
pub(super) fn functions() -> [ScalarUDF; 4] {
    Bucket::ALL.map(|bucket| ScalarUDF::from(LocalBucket::new(bucket)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LocalBucket {
    bucket: Bucket,
    signature: Signature,
}

impl LocalBucket {
    fn new(bucket: Bucket) -> Self {
        let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let of_zone = vec![at.clone(), DataType::Utf8];
        let signature = match bucket {
            Bucket::Hour => Signature::exact(of_zone, Volatility::Immutable),
            Bucket::Day | Bucket::Week | Bucket::Month => {
                let of_days = vec![at, DataType::Utf8, DataType::Utf8];
                Signature::one_of([of_zone, of_days].map(TypeSignature::Exact).into(), Volatility::Immutable)
            }
        };
        Self { bucket, signature }
    }

    /// The calendar that is meant by what follows the time.
    fn calendar(&self, options: &[ColumnarValue]) -> Result<Calendar> {
        let options: Option<Vec<&str>> = options.iter().map(constant).collect();
        match options.as_deref() {
            Some([zone]) => Calendar::new(self.bucket, zone, DayStart::default()),
            Some([zone, day_start]) => {
                let day_start = day_start.parse::<DayStart>().map_err(|e| exec_datafusion_err!("{e}"))?;
                Calendar::new(self.bucket, zone, day_start)
            }
            Some(_) | None => exec_err!(
                "{} takes a time, the name of one time zone and, but for hours, one time of day at which days begin",
                self.name()
            ),
        }
    }
}

/// A text that is the same in every row.
fn constant(argument: &ColumnarValue) -> Option<&str> {
    if let ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) = argument { Some(text) } else { None }
}

impl ScalarUDFImpl for LocalBucket {
    fn name(&self) -> &'static str {
        self.bucket.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((at, options)) = args.args.split_first() else {
            return exec_err!("{} takes a time", self.name());
        };
        let mut calendar = self.calendar(options)?;
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

//! The functions that may be called, by name. A name that is in no list is refused, so that a newer engine's functions are
//! looked at before they are there.

use super::Growth;

/// What a call may build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Kind {
    /// A number, a time, a truth or a short text a row.
    Plain,
    /// One of the values it is given, or a part of one.
    Choice,
    /// By a rule.
    Growing(Growth),
}

/// What a function may build; `None`: it may not be called.
pub(in crate::engine) fn kind(name: &str) -> Option<Kind> {
    if let Some((_, growth)) = GROWING.iter().find(|(known, _)| *known == name) {
        return Some(Kind::Growing(*growth));
    }
    if TEXT.contains(&name) {
        return Some(Kind::Growing(Growth::Few));
    }
    if CHOICES.contains(&name) {
        return Some(Kind::Choice);
    }
    PLAIN.contains(&name).then_some(Kind::Plain)
}

/// Where a function takes a regular expression, among its arguments.
pub(in crate::engine) fn pattern_at(name: &str) -> Option<usize> {
    name.starts_with("regexp_").then_some(1)
}

/// Aggregates whose result holds all that they were given.
pub(in crate::engine) const GATHERING: [&str; 4] = ["array_agg", "string_agg", "listagg", "group_concat"];

#[rustfmt::skip]
pub(in crate::engine) const AGGREGATES: &[&str] = &[
    "approx_distinct", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight", "array_agg", "avg",
    "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp", "first_value",
    "grouping", "last_value", "max", "median", "min", "nth_value", "percentile_cont", "regr_avgx", "regr_avgy", "regr_count",
    "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop", "string_agg",
    "sum", "var", "var_pop",
];

#[rustfmt::skip]
pub(in crate::engine) const WINDOWS: &[&str] = &[
    "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank",
    "row_number",
];

const GROWING: &[(&str, Growth)] = &[
    ("array_has_all", Growth::Steps),
    ("array_has_any", Growth::Steps),
    ("levenshtein", Growth::Steps),
    ("array_concat", Growth::Sum),
    ("array_to_string", Growth::Listed),
    ("concat", Growth::Sum),
    ("concat_ws", Growth::Joined),
    ("lpad", Growth::Characters),
    ("make_array", Growth::Sum),
    ("map", Growth::Sum),
    ("named_struct", Growth::Sum),
    ("regexp_replace", Growth::Matched),
    ("repeat", Growth::Times),
    ("replace", Growth::Replaced),
    ("rpad", Growth::Characters),
    ("struct", Growth::Sum),
];

#[rustfmt::skip]
const TEXT: &[&str] = &[
    "array_append", "array_compact", "array_distinct", "array_except", "array_intersect", "array_pop_back",
    "array_pop_front", "array_prepend", "array_remove", "array_remove_all", "array_remove_n", "array_replace",
    "array_replace_all", "array_replace_n", "array_reverse", "array_slice", "array_sort", "array_union", "arrays_zip",
    "btrim", "decode", "encode", "flatten", "initcap", "left", "lower", "ltrim", "map_entries", "map_extract", "map_keys",
    "map_values", "overlay", "regexp_match", "reverse", "right", "rtrim", "split_part", "string_to_array", "substr",
    "substr_index", "to_char", "translate", "upper",
];

#[rustfmt::skip]
const CHOICES: &[&str] = &[
    "array_any_value", "array_element", "array_first", "array_max", "array_min", "coalesce", "get_field", "greatest",
    "least", "nullif", "nvl", "nvl2", "union_extract",
];

#[rustfmt::skip]
const PLAIN: &[&str] = &[
    "abs", "acos", "acosh", "array_dims", "array_distance", "array_has", "array_length", "array_ndims", "array_position",
    "array_positions", "array_sum", "array_avg", "array_product", "arrow_cast", "arrow_try_cast", "arrow_typeof", "ascii",
    "asin", "asinh", "atan", "atan2", "atanh", "bit_length", "cardinality", "cast_to_type", "cbrt", "ceil",
    "character_length", "checked", "chr", "contains", "cos", "cosh", "cot", "current_date", "current_time", "date_bin",
    "date_part", "date_trunc", "degrees", "digest", "empty", "ends_with", "exp", "factorial", "find_in_set", "floor",
    "from_unixtime", "gcd", "isnan", "iszero", "lcm", "ln", "local_day", "local_hour", "local_month", "local_week", "log",
    "log10", "log2", "make_date", "make_time", "md5", "nanvl", "not_replaced", "now", "octet_length", "pi", "power", "radians", "random",
    "regexp_count", "regexp_instr", "regexp_like", "round", "sha224", "sha256", "sha384", "sha512", "signum", "sin", "sinh", "sqrt",
    "starts_with", "strpos", "tan", "tanh", "to_date", "to_hex", "to_local_time", "to_time", "to_timestamp",
    "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds", "to_unixtime", "trunc",
    "try_cast_to_type", "union_tag", "uuid", "version",
];

//! The functions that may be called, by name. A name that is in no list is refused, so that a newer engine's functions are
//! looked at before they are there.

use super::Growth;

/// What a call may build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Kind {
    /// A number, a time, a truth or a short text a row.
    Plain,
    /// At most a few times what it is given.
    Text,
    /// By a rule of its own.
    Growing(Growth),
}

/// What a function may build; `None`: it may not be called.
pub(in crate::engine) fn kind(name: &str) -> Option<Kind> {
    if let Some((_, growth)) = GROWING.iter().find(|(known, _)| *known == name) {
        return Some(Kind::Growing(*growth));
    }
    if TEXT.contains(&name) {
        return Some(Kind::Text);
    }
    PLAIN.contains(&name).then_some(Kind::Plain)
}

const GROWING: &[(&str, Growth)] = &[
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
const PLAIN: &[&str] = &[
    "abs", "acos", "acosh", "array_any_value", "array_dims", "array_distance", "array_element", "array_first", "array_has",
    "array_has_all", "array_has_any", "array_length", "array_max", "array_min", "array_ndims", "array_position",
    "array_positions", "array_sum", "array_avg", "array_product", "arrow_cast", "arrow_try_cast", "arrow_typeof", "ascii",
    "asin", "asinh", "atan", "atan2", "atanh", "bit_length", "cardinality", "cast_to_type", "cbrt", "ceil",
    "character_length", "checked", "chr", "coalesce", "contains", "cos", "cosh", "cot", "current_date", "current_time",
    "date_bin", "date_part", "date_trunc", "degrees", "digest", "empty", "ends_with", "exp", "factorial", "find_in_set",
    "floor", "from_unixtime", "gcd", "get_field", "greatest", "isnan", "iszero", "lcm", "least", "levenshtein", "ln",
    "local_day", "local_hour", "log", "log10", "log2", "make_date", "make_time", "md5", "nanvl", "not_replaced", "now",
    "nullif", "nvl", "nvl2", "octet_length", "pi", "power", "radians", "random", "regexp_count", "regexp_instr",
    "regexp_like", "round", "sha224", "sha256", "sha384", "sha512", "signum", "sin", "sinh", "sqrt", "starts_with", "strpos",
    "tan", "tanh", "to_date", "to_hex", "to_local_time", "to_time", "to_timestamp", "to_timestamp_micros",
    "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds", "to_unixtime", "trunc", "try_cast_to_type",
    "union_extract", "union_tag", "uuid", "version",
];

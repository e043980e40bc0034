//! Random expressions over the columns of `calls`, most of them well typed, and the dice.

/// A small generator of numbers that look random (splitmix64); the same seed gives the same ones.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    /// A condition; `of` stands before each column.
    pub(super) fn condition(&mut self, depth: u32, of: &str) -> String {
        if depth == 0 {
            return match self.below(3) {
                0 => self.pick(&["true", "false", "NULL::boolean"]).to_owned(),
                _ => format!("{of}settled"),
            };
        }
        let d = depth - 1;
        match self.below(14) {
            0 => format!("NOT ({})", self.condition(d, of)),
            1 | 2 => format!("({}) {} ({})", self.condition(d, of), self.pick(&["AND", "OR"]), self.condition(d, of)),
            3 => format!("({}) IS {}NULL", self.text(d, of), self.pick(&["", "NOT "])),
            4 => format!("({}) {} ({})", self.text(d, of), self.comparison(), self.text(d, of)),
            5 | 6 => format!("({}) {} ({})", self.number(d, of), self.comparison(), self.number(d, of)),
            7 => format!("({}) BETWEEN ({}) AND ({})", self.number(d, of), self.number(d, of), self.number(d, of)),
            8 => {
                let not = self.pick(&["", "NOT "]);
                format!("({}) {not}IN ({}, {}, {})", self.text(d, of), self.text(0, of), self.literal(), self.literal())
            }
            9 => {
                let like = self.pick(&["LIKE", "NOT LIKE", "ILIKE"]);
                format!("({}) {like} '{}'", self.text(d, of), self.pick(&["%a%", "s%", "_", "%", "", "%\\%", "Ä%"]))
            }
            10 => format!("({}) IS {}", self.condition(d, of), self.pick(&["TRUE", "NOT TRUE", "FALSE", "UNKNOWN"])),
            11 => format!("{of}started_at {} {}", self.comparison(), self.time(of)),
            12 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.condition(d, of),
                self.condition(d, of),
                self.condition(d, of)
            ),
            _ => format!("({}) IS DISTINCT FROM ({})", self.text(d, of), self.text(d, of)),
        }
    }

    /// A text.
    pub(super) fn text(&mut self, depth: u32, of: &str) -> String {
        if depth == 0 {
            return match self.below(4) {
                0 => self.literal(),
                _ => format!("{of}{}", self.pick(&["status", "campaign", "queue", "agent", "call_id"])),
            };
        }
        let d = depth - 1;
        match self.below(13) {
            0 => format!("({}) || ({})", self.text(d, of), self.text(d, of)),
            1 => format!("{}({})", self.pick(&["upper", "lower", "trim", "reverse", "initcap"]), self.text(d, of)),
            2 => format!("coalesce({}, {})", self.text(d, of), self.text(d, of)),
            3 => format!("CASE WHEN {} THEN {} END", self.condition(d, of), self.text(d, of)),
            4 => format!("substr({}, {})", self.text(d, of), self.below(5)),
            5 => format!("replace({}, {}, {})", self.text(d, of), self.literal(), self.literal()),
            6 => format!("({})::text", self.number(d, of)),
            7 => format!("nullif({}, {})", self.text(d, of), self.text(d, of)),
            8 => format!("concat({}, {})", self.text(d, of), self.text(d, of)),
            9 => format!("lpad({}, {}, 'xy')", self.text(d, of), self.below(9)),
            10 => format!("split_part({}, 'e', {})", self.text(d, of), self.below(3) + 1),
            11 => format!("to_char({of}started_at, '%Y-%m-%d %H')"),
            _ => self.text(0, of),
        }
    }

    /// A number.
    fn number(&mut self, depth: u32, of: &str) -> String {
        if depth == 0 {
            return match self.below(4) {
                0 => self.pick(&["0", "1", "-1", "100", "2.5", "9223372036854775807", "NULL::bigint"]).to_owned(),
                _ => format!("{of}{}", self.pick(&["talk_ms", "wait_ms", "version"])),
            };
        }
        let d = depth - 1;
        match self.below(9) {
            0 | 1 => format!("({}) {} ({})", self.number(d, of), self.pick(&["+", "-", "%"]), self.number(d, of)),
            2 => format!("({}) * {}", self.number(d, of), self.below(10)),
            3 => format!("({}) / nullif({}, 0)", self.number(d, of), self.number(d, of)),
            4 => format!("abs({})", self.number(d, of)),
            5 => format!("length({})", self.text(d, of)),
            6 => format!("coalesce({}, {})", self.number(d, of), self.number(d, of)),
            7 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.condition(d, of),
                self.number(d, of),
                self.number(d, of)
            ),
            _ => format!("extract({} FROM {of}started_at)", self.pick(&["hour", "minute", "day", "dow"])),
        }
    }

    fn time(&mut self, of: &str) -> String {
        match self.below(3) {
            0 => format!("date_trunc('{}', {of}started_at)", self.pick(&["hour", "day", "minute"])),
            1 => format!("{of}started_at + INTERVAL '{} minutes'", self.below(100)),
            _ => format!("'2026-03-01T{:02}:00:00Z'", self.below(24)),
        }
    }

    fn comparison(&mut self) -> &'static str {
        self.pick(&["=", "<>", "<", "<=", ">", ">="])
    }

    fn literal(&mut self) -> String {
        self.pick(&["'answered'", "'anna'", "''", "'a'", "'Ä''ö'", "NULL::text"]).to_owned()
    }
}

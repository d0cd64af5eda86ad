//! Which words may stand before a bracket, and which may stand nowhere.
//!
//! A call of a function is a word and a bracket, so what is not listed here is
//! not called. Among the functions of PostgreSQL are some that change the session
//! (`set_config`), wait (`pg_sleep`), read files, take the text of a query
//! (`query_to_xml`, `ts_stat`) or the name of a table in a string (`nextval`,
//! `table_to_xml`): a list of what is harmless is shorter and stays true when a
//! version adds more.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Functions that look at their arguments, at rows and at the clock, and at
/// nothing else.
const FUNCTIONS: &str = "array_agg avg bool_and bool_or count every json_agg json_object_agg jsonb_agg \
     jsonb_object_agg max min string_agg sum cume_dist dense_rank first_value lag last_value \
     lead nth_value ntile percent_rank rank row_number mode percentile_cont percentile_disc \
     grouping abs ceil ceiling div exp floor ln log mod power random round sign sqrt trunc \
     width_bucket ascii bit_length btrim char_length character_length chr concat concat_ws \
     decode encode format get_byte hashtext hashtextextended initcap left length lower lpad \
     ltrim md5 normalize octet_length overlay position quote_ident quote_literal \
     quote_nullable regexp_match regexp_matches regexp_replace regexp_split_to_array \
     regexp_split_to_table repeat replace reverse right rpad rtrim set_byte sha224 sha256 \
     sha384 sha512 split_part starts_with string_to_array strpos substr substring to_hex \
     translate trim upper age clock_timestamp date_bin date_part date_trunc extract isfinite \
     justify_days justify_hours justify_interval make_date make_interval make_time \
     make_timestamp make_timestamptz now statement_timestamp timezone to_char to_date \
     to_number to_timestamp transaction_timestamp json_array_elements \
     json_array_elements_text json_array_length json_build_array json_build_object json_each \
     json_each_text json_extract_path json_extract_path_text json_object_keys \
     json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_array_elements \
     jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object \
     jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert \
     jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query \
     jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls \
     jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb \
     array_append array_cat array_fill array_length array_lower array_ndims array_position \
     array_positions array_prepend array_remove array_replace array_to_json array_to_string \
     array_upper cardinality generate_series generate_subscripts unnest gen_random_uuid";

/// What else a bracket follows: keywords, and types with a length.
const KEYWORDS: &str = "all and any array as between by case cast coalesce conflict cube distinct else except \
     exists filter first from greatest group having ilike in intersect is join lateral least \
     like limit materialized next not nullif offset on only or over returning rollup row \
     select set sets similar some then to union using values when where bit bpchar \
     char character decimal float interval numeric time timestamp timestamptz timetz varbit \
     varchar varying";

/// Those of [`KEYWORDS`] that go on where a bracket has closed: reserved in PostgreSQL,
/// so that none of them is an alias there, or [`ALIASES`].
const GO_ON: &str = "all and any as between else except filter from group having ilike in intersect is join \
     like limit not offset on or over returning select set similar then union using values \
     when where";

/// What goes on there and may be an alias as well.
pub(super) const ALIASES: &[&str] = &["between", "filter", "over", "set", "values"];

/// As [`KEYWORDS`], where a schema is made.
const KEYWORDS_OF_SCHEMAS: &str = "check default exclude hash identity include key list range unique with btree gin gist \
     brin spgist";

/// Words that give a glimpse of who the host logged in as. In quotes they are
/// names like others.
const SESSION: &str =
    "current_catalog current_role current_schema current_user session_user system_user user";

/// Types whose texts are the names of things in any schema. Where a type stands, each
/// that begins with `reg` is taken for one: the next version may have more of them.
const NAMING_TYPES: &str = "aclitem regclass regcollation regconfig regdatabase regdictionary regnamespace regoper regoperator regproc \
     regprocedure regrole regtype";

/// The words of a list.
struct Words(LazyLock<HashSet<&'static str>>);

impl Words {
    const fn of(make: fn() -> HashSet<&'static str>) -> Self {
        Self(LazyLock::new(make))
    }

    fn have(&self, word: &str) -> bool {
        self.0.contains(word)
    }
}

static BEFORE_BRACKETS: Words =
    Words::of(|| [FUNCTIONS, KEYWORDS].iter().flat_map(|list| list.split(' ')).collect());
static BEFORE_BRACKETS_OF_SCHEMAS: Words = Words::of(|| KEYWORDS_OF_SCHEMAS.split(' ').collect());

/// Whether a bracket may follow the word.
pub(super) fn takes_bracket(word: &str, schema: bool) -> bool {
    BEFORE_BRACKETS.have(word) || schema && BEFORE_BRACKETS_OF_SCHEMAS.have(word)
}

/// Whether the word goes on where a bracket has closed, and begins nothing.
pub(super) fn goes_on(word: &str) -> bool {
    GO_ON.split(' ').any(|it| it == word)
}

/// Why a name may stand nowhere, or not as a type.
pub(super) fn refused(name: &str, quoted: bool, is_type: bool) -> Option<&'static str> {
    // With a `_` before it, the array of them.
    let element = name.trim_start_matches('_');
    let among = |list: &'static str| list.split(' ').any(|word| word == name);
    if name.starts_with("pg_") || name == "information_schema" {
        Some("names the catalogue or what PostgreSQL keeps for itself")
    } else if name.starts_with("stheno_") {
        Some("names what the host keeps in the schema")
    } else if NAMING_TYPES.split(' ').any(|word| word == element)
        || is_type && element.starts_with("reg")
    {
        Some("is a type that looks up names in the catalogue")
    } else if !quoted && among(SESSION) {
        Some("tells who the host logged in as")
    } else {
        None
    }
}

#[cfg(test)]
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.split(' ')
}

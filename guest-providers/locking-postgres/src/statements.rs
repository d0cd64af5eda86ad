//! The statements. Each decides about all that it is given at once, where the rows
//! are, so that a call is one round trip whatever its size.
//!
//! All that change something run behind [`GATE`] in one transaction. Its row is
//! locked from then on, and each later statement sees what whoever had it before has
//! done: so there is one change after the other in the whole database, and a
//! statement may look and then act.
//!
//! A statement asks for the gate by its `id`, so that the planner knows that there is
//! one row: taken for many, it multiplied all that follows, and had the server compile
//! the plan to machine code, for a second, each time.
//!
//! `$1` is the session that asks and `$2` how many numbers the gate reserved,
//! where a statement has both.

/// The server's clock in milliseconds.
macro_rules! now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// A row of `waits` counts if whoever waits is alive; who asks is.
macro_rules! alive {
    () => {
        "(waits.session = $1 OR sessions.until > moment.now)"
    };
}

/// A row of `locks` counts until it expires.
macro_rules! live {
    () => {
        "(locks.expires IS NULL OR locks.expires > moment.now)"
    };
}

/// How many wait for the key of a lock.
macro_rules! waiting {
    () => {
        concat!(
            "SELECT count(*) FROM waits LEFT JOIN sessions ON sessions.session = waits.session \
             WHERE waits.key = locks.key AND ",
            alive!()
        )
    };
}

macro_rules! no_lock {
    () => {
        "SELECT locks.key FROM locks WHERE false"
    };
}

/// Reserves `$1` numbers above all others, `$2` and the time of day in microseconds
/// among them, and gives the last one.
pub(crate) const GATE: &str = "\
UPDATE gate SET last = $1 + greatest(last, $2, \
  floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
WHERE id = 1 RETURNING last";

/// Has the session be taken for alive for `$2` milliseconds.
pub(crate) const BEAT: &str = concat!(
    "INSERT INTO sessions (session, until) VALUES ($1, $2 + ",
    now!(),
    ") ON CONFLICT (session) DO UPDATE SET until = excluded.until"
);

/// Serves requests of which no two want the same key: `$3`, `$4` the keys and whose
/// they are, `$5` to `$9` the requests.
pub(crate) const ACQUIRE: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT last - $2 AS base, ",
    now!(),
    " AS now FROM gate WHERE id = 1), \
    asked AS (SELECT * FROM unnest($3::bigint[], $4::text[]) AS asked (request, key)), \
    terms AS (SELECT * FROM unnest($5::bigint[], $6::text[], $7::bigint[], $8::bigint[], \
      $9::bigint[]) AS terms (request, owner, ttl, wait, size)), \
    seen AS (\
      SELECT asked.request, asked.key, \
        locks.lease IS NOT NULL AS held, \
        coalesce(locks.owner = terms.owner, false) AS own, \
        ahead.ticket IS NOT NULL AS waited, \
        least(locks.expires, ahead.until) AS due, \
        coalesce(locks.session <> $1, false) OR coalesce(ahead.session <> $1, false) AS foreign_one \
      FROM asked JOIN terms ON terms.request = asked.request CROSS JOIN moment \
      LEFT JOIN locks ON locks.key = asked.key AND ",
    live!(),
    " LEFT JOIN LATERAL (\
        SELECT waits.ticket, waits.session, sessions.until \
        FROM waits LEFT JOIN sessions ON sessions.session = waits.session \
        WHERE waits.key = asked.key AND ",
    alive!(),
    " ORDER BY waits.ticket LIMIT 1) AS ahead ON true), \
    judged AS (\
      SELECT terms.request, terms.owner, terms.ttl, terms.wait, terms.size, \
        min(seen.key) FILTER (WHERE NOT seen.own AND (seen.held OR seen.waited)) AS taken, \
        bool_or(seen.own) AS own, min(seen.due) AS due, bool_or(seen.foreign_one) AS foreign_one \
      FROM terms JOIN seen ON seen.request = terms.request \
      GROUP BY terms.request, terms.owner, terms.ttl, terms.wait, terms.size), \
    verdicts AS MATERIALIZED (\
      SELECT judged.*, moment.base + judged.request + 1 AS number, moment.now, \
        CASE WHEN taken IS NULL THEN 2 WHEN wait = 1 AND NOT own THEN 1 ELSE 0 END AS verdict \
      FROM judged CROSS JOIN moment), \
    leased AS (\
      INSERT INTO locks (key, lease, fence, owner, expires, session) \
      SELECT asked.key, verdicts.number, verdicts.number, verdicts.owner, \
        verdicts.now + verdicts.ttl, $1 \
      FROM asked JOIN verdicts ON verdicts.request = asked.request WHERE verdicts.verdict = 2 \
      ON CONFLICT (key) DO UPDATE SET lease = excluded.lease, fence = excluded.fence, \
        owner = excluded.owner, expires = excluded.expires, session = excluded.session), \
    queued AS (\
      INSERT INTO waits (key, ticket, session, owner, ttl, size) \
      SELECT asked.key, verdicts.number, $1, verdicts.owner, verdicts.ttl, verdicts.size \
      FROM asked JOIN verdicts ON verdicts.request = asked.request WHERE verdicts.verdict = 1) \
    SELECT verdicts.request, verdicts.verdict, verdicts.number, verdicts.taken, verdicts.own, \
      verdicts.due - verdicts.now AS due, verdicts.foreign_one FROM verdicts"
);

/// Ends the leases of the keys that `$freed` selects, and leases to those who wait in
/// this session what is theirs now by the change at the keys that `$touched` selects.
/// `$stays` tells which rows of `waits` are still there.
///
/// Who is granted is in front at all of its keys, so no two can be after the same one;
/// and what one is granted opens the way to no other but one of the same owner, which
/// does not wait for itself. `again` says that such a one may be there.
macro_rules! pass_on {
    ($freed:expr, $touched:expr, $stays:expr) => {
        concat!(
            "WITH moment AS MATERIALIZED (SELECT last - $2 AS base, ",
            now!(),
            " AS now FROM gate WHERE id = 1), freed AS MATERIALIZED (",
            $freed,
            "), touched AS (",
            $touched,
            "), fronts AS (\
              SELECT DISTINCT ahead.ticket FROM touched CROSS JOIN moment CROSS JOIN LATERAL (\
                SELECT waits.ticket, waits.session \
                FROM waits LEFT JOIN sessions ON sessions.session = waits.session \
                WHERE waits.key = touched.key AND ",
            $stays,
            " AND ",
            alive!(),
            " ORDER BY waits.ticket LIMIT 1) AS ahead WHERE ahead.session = $1), \
            mine AS MATERIALIZED (\
              SELECT waits.key, waits.ticket, waits.owner, waits.ttl, waits.size \
              FROM waits JOIN fronts ON fronts.ticket = waits.ticket), \
            states AS (\
              SELECT mine.*, NOT EXISTS (\
                SELECT 1 FROM locks WHERE locks.key = mine.key \
                AND NOT coalesce(locks.owner = mine.owner, false) AND ",
            live!(),
            " AND NOT EXISTS (SELECT 1 FROM freed WHERE freed.key = mine.key)\
              ) AND NOT EXISTS (\
                SELECT 1 FROM waits LEFT JOIN sessions ON sessions.session = waits.session \
                WHERE waits.key = mine.key AND waits.ticket < mine.ticket AND ",
            $stays,
            " AND ",
            alive!(),
            ") AS free FROM mine CROSS JOIN moment), \
            ready AS MATERIALIZED (\
              SELECT states.ticket, states.size, min(states.ttl) AS ttl, \
                row_number() OVER (ORDER BY states.ticket) AS place, \
                bool_or(EXISTS (SELECT 1 FROM waits WHERE waits.key = states.key \
                  AND waits.ticket > states.ticket AND waits.owner = states.owner)) AS again \
              FROM states GROUP BY states.ticket, states.size \
              HAVING bool_and(states.free) ORDER BY states.ticket LIMIT $2), \
            leased AS (\
              INSERT INTO locks (key, lease, fence, owner, expires, session) \
              SELECT mine.key, mine.ticket, moment.base + ready.place, mine.owner, \
                moment.now + mine.ttl, $1 \
              FROM mine JOIN ready ON ready.ticket = mine.ticket CROSS JOIN moment \
              ON CONFLICT (key) DO UPDATE SET lease = excluded.lease, fence = excluded.fence, \
                owner = excluded.owner, expires = excluded.expires, session = excluded.session), \
            served AS (DELETE FROM waits USING ready WHERE waits.ticket = ready.ticket), \
            ended AS (\
              DELETE FROM locks USING freed WHERE locks.key = freed.key AND NOT EXISTS (\
                SELECT 1 FROM mine JOIN ready ON ready.ticket = mine.ticket \
                WHERE mine.key = locks.key)) \
            SELECT ready.ticket, ready.size, moment.base + ready.place AS fence, ready.again, \
              ready.ttl FROM ready CROSS JOIN moment ORDER BY ready.ticket"
        )
    };
}

macro_rules! of_leases {
    () => {
        "SELECT locks.key FROM locks WHERE locks.lease = ANY($3::bigint[])"
    };
}

macro_rules! of_keys {
    () => {
        "SELECT locks.key FROM locks WHERE locks.key = ANY($3::text[]) \
         AND locks.owner IS NOT DISTINCT FROM $4::text"
    };
}

macro_rules! of_owner {
    () => {
        "SELECT locks.key FROM locks WHERE locks.owner IS NOT DISTINCT FROM $3::text \
         AND locks.fence <= $4 ORDER BY locks.key LIMIT 1000"
    };
}

/// Ends the leases `$3`.
pub(crate) const RELEASE: &str = pass_on!(of_leases!(), "SELECT key FROM freed", "true");

/// Frees those of the keys `$3` that the owner `$4` holds.
pub(crate) const RELEASE_KEYS: &str = pass_on!(of_keys!(), "SELECT key FROM freed", "true");

/// Frees the first thousand of the keys that the owner `$3` holds, by fences up to
/// `$4`.
pub(crate) const RELEASE_ALL: &str = pass_on!(of_owner!(), "SELECT key FROM freed", "true");

/// Leases what time, and other sessions, have freed.
pub(crate) const TAKE: &str =
    pass_on!(no_lock!(), "SELECT DISTINCT waits.key FROM waits WHERE waits.session = $1", "true");

/// Passes on what the tickets `$3` stood in the way of; [`REMOVE`] has to follow.
pub(crate) const STEP_ASIDE: &str = pass_on!(
    no_lock!(),
    "SELECT DISTINCT waits.key FROM waits WHERE waits.ticket = ANY($3::bigint[])",
    "waits.ticket <> ALL($3::bigint[])"
);

/// Takes the tickets `$1` out of the queue.
pub(crate) const REMOVE: &str = "DELETE FROM waits WHERE ticket = ANY($1::bigint[])";

/// How many keys each of the leases `$1` has.
pub(crate) const COUNT_LEASES: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now) SELECT locks.lease, count(*) AS keys FROM locks CROSS JOIN moment \
    WHERE locks.lease = ANY($1::bigint[]) AND ",
    live!(),
    " GROUP BY locks.lease"
);

/// How many of the keys `$1` the owner `$2` holds.
pub(crate) const COUNT_KEYS: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now) SELECT count(*) AS freed, 0::bigint AS seen FROM locks CROSS JOIN moment \
    WHERE locks.key = ANY($1::text[]) AND locks.owner IS NOT DISTINCT FROM $2::text AND ",
    live!()
);

/// How many of the rows that [`RELEASE_ALL`] is about, with the owner `$1` and fences
/// up to `$2`, are held; and how many there are.
pub(crate) const COUNT_ALL: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now), page AS (SELECT locks.expires FROM locks \
    WHERE locks.owner IS NOT DISTINCT FROM $1::text AND locks.fence <= $2 \
    ORDER BY locks.key LIMIT 1000) \
    SELECT count(*) FILTER (WHERE page.expires IS NULL OR page.expires > moment.now) AS freed, \
    count(*) AS seen FROM page CROSS JOIN moment"
);

/// Sets the times to live `$3` of those of the leases `$1` that have all of their
/// `$2` keys, and gives a row for each such key.
pub(crate) const EXTEND: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now), \
    asked AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) \
      AS asked (lease, size, ttl)), \
    whole AS (SELECT asked.lease, asked.ttl \
      FROM asked JOIN locks ON locks.lease = asked.lease CROSS JOIN moment WHERE ",
    live!(),
    " GROUP BY asked.lease, asked.ttl, asked.size HAVING count(*) = asked.size) \
    UPDATE locks SET expires = moment.now + whole.ttl FROM whole, moment \
    WHERE locks.lease = whole.lease RETURNING locks.lease"
);

/// How it stands with those who wait in this session: how many tickets there are,
/// how many could be granted, in how many milliseconds the next lease expires that
/// one of them waits for, and whether another session stands before one.
pub(crate) const LOOK: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now), \
    mine AS MATERIALIZED (SELECT waits.key, waits.ticket FROM waits WHERE waits.session = $1), \
    fronts AS (SELECT DISTINCT ON (waits.key) waits.key, waits.ticket, waits.owner \
      FROM waits WHERE waits.session = $1 ORDER BY waits.key, waits.ticket), \
    states AS MATERIALIZED (\
      SELECT fronts.key, fronts.ticket, \
        (locks.lease IS NULL OR coalesce(locks.owner = fronts.owner, false)) \
          AND ahead.session IS NULL AS free, \
        least(locks.expires, ahead.until) - moment.now AS due, \
        coalesce(locks.session <> $1, false) OR ahead.session IS NOT NULL AS foreign_one \
      FROM fronts CROSS JOIN moment LEFT JOIN locks ON locks.key = fronts.key AND ",
    live!(),
    " LEFT JOIN LATERAL (\
        SELECT waits.session, sessions.until \
        FROM waits JOIN sessions ON sessions.session = waits.session \
        WHERE waits.key = fronts.key AND waits.ticket < fronts.ticket \
          AND sessions.until > moment.now \
        ORDER BY waits.ticket LIMIT 1) AS ahead ON true), \
    ready AS (\
      SELECT mine.ticket FROM mine JOIN fronts ON fronts.ticket = mine.ticket \
      GROUP BY mine.ticket \
      HAVING count(*) > 0 AND NOT EXISTS (\
        SELECT 1 FROM waits LEFT JOIN states \
          ON states.key = waits.key AND states.ticket = waits.ticket \
        WHERE waits.ticket = mine.ticket AND NOT coalesce(states.free, false))) \
    SELECT (SELECT count(DISTINCT mine.ticket) FROM mine) AS waiting, \
      (SELECT count(*) FROM ready) AS ready, \
      (SELECT min(states.due) FROM states) AS due, \
      (SELECT coalesce(bool_or(states.foreign_one), false) FROM states) AS foreign_one"
);

/// Those of the tickets `$1` that wait.
pub(crate) const KNOWN: &str =
    "SELECT DISTINCT waits.ticket FROM waits WHERE waits.ticket = ANY($1::bigint[])";

/// Has the tickets `$2` be this session's.
pub(crate) const ADOPT: &str =
    "UPDATE waits SET session = $1 WHERE ticket = ANY($2::bigint[]) AND session <> $1";

/// Takes back what the sessions from `$1` to `$2` may have leased beyond the number
/// `$3` without having been told.
pub(crate) const TAKE_BACK_LOCKS: &str =
    "DELETE FROM locks WHERE session BETWEEN $1 AND $2 AND fence > $3";

/// As [`TAKE_BACK_LOCKS`], of places in the queue.
pub(crate) const TAKE_BACK_WAITS: &str =
    "DELETE FROM waits WHERE session BETWEEN $1 AND $2 AND ticket > $3";

/// Has all that the sessions from `$2` to `$3` wait for be this session's.
pub(crate) const INHERIT: &str = "UPDATE waits SET session = $1 WHERE session BETWEEN $2 AND $3";

/// Looks at the next `$2` locks behind the key `$1`, ends those that have expired,
/// and says where it came to.
pub(crate) const SWEEP_LOCKS: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now), page AS MATERIALIZED (SELECT locks.key, locks.expires FROM locks \
      WHERE locks.key > $1 ORDER BY locks.key LIMIT $2), \
    ended AS (DELETE FROM locks USING page, moment \
      WHERE locks.key = page.key AND page.expires <= moment.now) \
    SELECT max(page.key) AS last, count(*) AS seen FROM page"
);

/// Forgets sessions that have been dead for `$1` milliseconds, and at most `$2` rows
/// of what they waited for.
pub(crate) const SWEEP_SESSIONS: &str = concat!(
    "WITH dead AS MATERIALIZED (SELECT sessions.session FROM sessions WHERE sessions.until < ",
    now!(),
    " - $1 LIMIT 16), \
    page AS MATERIALIZED (SELECT waits.key, waits.ticket \
      FROM waits JOIN dead ON dead.session = waits.session LIMIT $2), \
    removed AS (DELETE FROM waits USING page \
      WHERE waits.key = page.key AND waits.ticket = page.ticket) \
    DELETE FROM sessions USING dead \
    WHERE sessions.session = dead.session AND (SELECT count(*) FROM page) < $2"
);

/// Who has the keys `$3`, each with its place `$2`.
pub(crate) const INSPECT: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now), asked AS (SELECT * FROM unnest($2::bigint[], $3::text[]) AS asked (place, key)) \
    SELECT asked.place, locks.owner, locks.fence, locks.expires - moment.now AS left_ms, (",
    waiting!(),
    ") AS waiting FROM asked CROSS JOIN moment JOIN locks ON locks.key = asked.key AND ",
    live!()
);

/// The first `$4` of the keys that are held, behind the key `$2`, of the owner `$3`
/// if that is not null.
pub(crate) const HELD: &str = concat!(
    "WITH moment AS MATERIALIZED (SELECT ",
    now!(),
    " AS now) \
    SELECT locks.key, locks.owner, locks.fence, locks.expires - moment.now AS left_ms, (",
    waiting!(),
    ") AS waiting FROM locks CROSS JOIN moment \
    WHERE locks.key > $2 AND ($3::text IS NULL OR locks.owner = $3) AND ",
    live!(),
    " ORDER BY locks.key LIMIT $4"
);

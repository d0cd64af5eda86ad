//! What `grants.sql` amounts to.

use stheno_config::{Grants, SqlGrant, StoreLabel, format_duration};

use super::admit::{May, admit};
use super::bindings::not_granted;
use crate::explain::Ruling;

pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    let power = |(label, grant): (&StoreLabel, &SqlGrant)| {
        format!(
            "use SQL {:?}, that is {}: read and change rows, and make tables in migrations, in the \
             schema {:?} as the role {:?}; at most {} statements and {} a second, {} calls at \
             once on {} connections, {} rows and {} in one answer, {} for each",
            label.as_str(),
            grant.url,
            grant.schema.as_str(),
            grant.acts_as(),
            grant.operations_per_second.get(),
            grant.bytes_per_second.get(),
            grant.in_flight.get(),
            grant.connections.get(),
            grant.max_rows.get(),
            grant.max_bytes.get(),
            format_duration(grant.statement_timeout.get()),
        )
    };
    grants.sql().iter().map(power).collect()
}

pub(crate) fn rule(grants: &Grants, label: &str, statement: &str) -> Ruling {
    let Some(grant) = grants.sql().get(label) else {
        return Ruling::denied(not_granted(label));
    };
    if statement.len() > grant.max_statement.get().as_usize() {
        return Ruling::denied(format!(
            "it has {} bytes, more than max_statement = \"{}\"",
            statement.len(),
            grant.max_statement.get()
        ));
    }
    match admit(statement, May::UseRows) {
        Err(error) => Ruling::denied(error.message()),
        Ok(()) => Ruling::allowed(format!(
            "it is sent, with every name looked up in the schema {:?}; the rest is for the rights of \
             its role to say",
            grant.schema.as_str()
        )),
    }
}

//! One connection to the server, made when it is wanted.
//!
//! What is asked is such that asking twice does no harm: to set, to add, to remove
//! or to append a name once more. So where a connection from an earlier call turns out
//! to be dead before anything was answered, as after a restart of the server, the
//! request goes out once more, on a new one. After anything else (half an answer, an
//! answer that is none, the deadline) the connection is dropped and the call fails:
//! nothing that comes late is ever taken for the answer to something else.

use stheno_sdk::{Duration, Error, Result};

use crate::address::Address;
use crate::protocol::{Batch, Reply, Request};
use crate::socket::{Connection, Deadline, Failure};

pub(crate) struct Server {
    address: Address,
    timeout: Duration,
    connection: Option<Connection>,
}

impl Server {
    pub(crate) fn new(address: Address, timeout: Duration) -> Self {
        Self { address, timeout, connection: None }
    }

    /// The replies to the commands, one for each.
    pub(crate) fn exchange(&mut self, batch: Batch) -> Result<Vec<Reply>> {
        self.attempt(&batch.finished()).map_err(|failure| self.explained(failure))
    }

    fn attempt(&mut self, request: &Request) -> std::result::Result<Vec<Reply>, Failure> {
        let deadline = Deadline::after_ms(self.timeout.as_millis());
        if let Some(connection) = self.connection.take().filter(Connection::is_quiet) {
            match connection.exchange(request, &deadline) {
                Err(Failure::Ended { answered: false }) => {}
                Err(failure) => return Err(failure),
                Ok((connection, replies)) => {
                    self.connection = Some(connection);
                    return Ok(replies);
                }
            }
        }
        let connection = Connection::open(&self.address, &deadline)?;
        // A server that does not know `ms` would take the data behind it for
        // commands. So each is asked first whether it knows the meta commands.
        let (connection, _) = connection.exchange(&Batch::default().finished(), &deadline)?;
        let (connection, replies) = connection.exchange(request, &deadline)?;
        self.connection = Some(connection);
        Ok(replies)
    }

    fn explained(&self, failure: Failure) -> Error {
        let Self { address, timeout, .. } = self;
        match failure {
            Failure::Denied => Error::Denied(format!(
                "connecting to {address}; list it in `grants.sockets`, with `private = true` if \
                 its name leads into a private network"
            )),
            Failure::Unreachable(why) => {
                Error::Unavailable(format!("{address} cannot be reached: {why}"))
            }
            Failure::Ended { .. } => Error::Unavailable(format!("{address} ended the connection")),
            Failure::Late => Error::Timeout(format!(
                "{address} did not answer within {} ms",
                timeout.as_millis()
            )),
            Failure::Malformed(what) => Error::Unavailable(format!(
                "{address} does not answer as Memcached 1.6 does: {what}"
            )),
        }
    }
}

//! Which servers a provider was granted, and how its calls go there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, RedisError, Value};
use sha2::{Digest as _, Sha256};
use stheno_config::{Grants, RedisGrant, StoreLabel, format_duration};
use stheno_contracts::Error;
use stheno_contracts::redis::Condition;
use tokio::sync::Semaphore;

use super::admit::{Admitted, admit, write_key};
use super::link::{Link, Live};
use super::reply::{Answer, answer, lost_script, refusal};
use crate::denials::{Counter, Denials};
use crate::explain::no_binding;
use crate::quota::Quota;

/// The most commands in one call, and the most arguments that they have.
const MAX_COMMANDS: usize = 10_000;
const MAX_ARGUMENTS: usize = 1_000_000;
/// The longest script.
const MAX_SCRIPT_BYTES: usize = 64 << 10;

/// A command as a guest writes it.
pub(super) type Arguments = Vec<Vec<u8>>;

/// The Redis bindings of one provider.
pub struct Redis(BTreeMap<StoreLabel, Arc<Binding>>);

impl Redis {
    /// What was granted, on the servers that were granted. No server is reached
    /// before the provider asks for something.
    #[must_use]
    pub fn granted_by(denials: &Denials, grants: &Grants) -> Self {
        Self::new(denials, grants, false)
    }

    /// What was granted, and behind it nothing that answers: for a provider that
    /// is only looked at. No server is reached.
    #[must_use]
    pub fn out_of_reach(denials: &Denials, grants: &Grants) -> Self {
        Self::new(denials, grants, true)
    }

    fn new(denials: &Denials, grants: &Grants, out_of_reach: bool) -> Self {
        let binding = |(label, grant): (&StoreLabel, &RedisGrant)| {
            (label.clone(), Arc::new(Binding::new(denials, label, grant.clone(), out_of_reach)))
        };
        Self(grants.redis().iter().map(binding).collect())
    }

    pub(super) fn open(&self, label: &str) -> Result<Arc<Binding>, Error> {
        self.0.get(label).map(Arc::clone).ok_or_else(|| Error::Denied(not_granted(label)))
    }
}

pub(super) fn not_granted(label: &str) -> String {
    no_binding("Redis", label, |label| {
        format!("grants.redis.{label} = {{ url = \"${{REDIS_URL}}\", prefix = \"shop:cache:\" }}")
    })
}

/// One granted server, seen through one prefix.
pub(crate) struct Binding {
    label: StoreLabel,
    grant: RedisGrant,
    out_of_reach: bool,
    link: Link,
    operations: Quota,
    bytes: Quota,
    in_flight: Semaphore,
    pub(super) denials: Arc<Counter>,
    /// The scripts that the guest has brought, by their SHA-256.
    scripts: RwLock<HashMap<String, String>>,
}

/// The commands of one call, none of which can reach beyond the prefix.
struct Request<'a> {
    commands: Vec<Admitted<'a>>,
    /// The longest that one of them waits.
    waits: Option<Duration>,
    bytes: usize,
}

impl Binding {
    fn new(denials: &Denials, label: &StoreLabel, grant: RedisGrant, out_of_reach: bool) -> Self {
        Self {
            label: label.clone(),
            link: Link::new(&grant),
            operations: Quota::new(u64::from(grant.operations_per_second.get())),
            bytes: Quota::new(grant.bytes_per_second.get().as_u64()),
            in_flight: Semaphore::new(grant.in_flight.get() as usize),
            denials: denials.binding("redis", label),
            scripts: RwLock::default(),
            grant,
            out_of_reach,
        }
    }

    fn prefix(&self) -> &str {
        self.grant.prefix.as_str()
    }

    /// One command.
    pub(super) async fn call(&self, command: Arguments) -> Answer {
        let commands = [command];
        let request = self.request(&commands)?;
        let mut answers = match request.waits {
            None => self.within(&request, self.on_shared(&request)).await?,
            Some(_) => self.within(&request, self.on_its_own(&request)).await?,
        };
        answers.pop().unwrap_or_else(|| Err(short()))
    }

    /// Several commands in one round trip.
    pub(super) async fn pipeline(&self, commands: Vec<Arguments>) -> Result<Vec<Answer>, Error> {
        let request = self.request(&commands)?;
        alone(&request)?;
        self.within(&request, self.on_shared(&request)).await
    }

    /// Several commands as one, if the conditions hold.
    pub(super) async fn transaction(
        &self,
        conditions: Vec<Condition>,
        commands: Vec<Arguments>,
    ) -> Result<Vec<Answer>, Error> {
        let mut request = self.request(&commands)?;
        alone(&request)?;
        if conditions.is_empty() {
            return self.within(&request, self.made_as_one(&request)).await;
        }
        if conditions.len() > MAX_COMMANDS {
            return Err(Error::InvalidArgument(format!(
                "the transaction has {} conditions, at most {MAX_COMMANDS}",
                conditions.len()
            )));
        }
        request.bytes += conditions.iter().map(|it| 2 * (it.key.len() + 64)).sum::<usize>();
        self.within(&request, self.made_if(&conditions, &request)).await
    }

    /// Takes a script, and gives its name.
    pub(super) fn load_script(&self, source: String) -> Result<String, Error> {
        if source.len() > MAX_SCRIPT_BYTES {
            return Err(Error::InvalidArgument(format!(
                "the script has {} bytes, at most {MAX_SCRIPT_BYTES}",
                source.len()
            )));
        }
        let digest = hex::encode(Sha256::digest(source.as_bytes()));
        if !self.grant.scripts.contains(digest.as_str()) {
            return self.denials.told(Err(Error::Denied(format!(
                "a script is not granted; if the provider may run it, add its SHA-256 to \
                 grants.redis.{}: scripts = [\"{digest}\"]",
                self.label.as_str()
            ))));
        }
        let mut scripts = self.scripts.write().unwrap_or_else(PoisonError::into_inner);
        scripts.entry(digest.clone()).or_insert(source);
        Ok(digest)
    }

    /// Decides about the commands of a call; all of them, or none is sent.
    fn request<'a>(&self, commands: &'a [Arguments]) -> Result<Request<'a>, Error> {
        let arguments: usize = commands.iter().map(Vec::len).sum();
        if commands.is_empty() || commands.len() > MAX_COMMANDS || arguments > MAX_ARGUMENTS {
            return Err(Error::InvalidArgument(format!(
                "the call has {} commands with {arguments} arguments, must have 1 to {MAX_COMMANDS} \
                 with at most {MAX_ARGUMENTS}",
                commands.len()
            )));
        }
        let mut request =
            Request { commands: Vec::with_capacity(commands.len()), waits: None, bytes: 0 };
        for command in commands {
            let command = self.denials.told(admit(command))?;
            request.waits = request.waits.max(command.waits);
            request.bytes += command.bytes(self.prefix());
            request.commands.push(command);
        }
        let max_bytes = self.grant.max_bytes.get().as_usize();
        if request.bytes > max_bytes {
            return Err(Error::InvalidArgument(format!(
                "the call has {} bytes, more than max_bytes = \"{}\"; split it, or raise that",
                request.bytes, self.grant.max_bytes
            )));
        }
        Ok(request)
    }

    /// Does the work within quotas and time.
    async fn within(
        &self,
        request: &Request<'_>,
        work: impl Future<Output = Result<Vec<Answer>, Error>>,
    ) -> Result<Vec<Answer>, Error> {
        if self.out_of_reach {
            return Err(Error::Unavailable("no server is reached during a check".into()));
        }
        let beyond = |key: &str, value: &dyn std::fmt::Display| {
            Error::Unavailable(format!(
                "more than {key} = {value} of the Redis binding; try again later"
            ))
        };
        let _permit =
            self.in_flight.try_acquire().map_err(|_| beyond("in_flight", &self.grant.in_flight))?;
        if !self.operations.take(request.commands.len()) {
            return Err(beyond("operations_per_second", &self.grant.operations_per_second));
        }
        if !self.bytes.take(request.bytes) {
            return Err(beyond("bytes_per_second", &self.grant.bytes_per_second));
        }
        let timeout = self.grant.timeout.get();
        let limit = timeout + request.waits.unwrap_or_default();
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Error::Timeout(format!(
                "Redis did not answer within timeout = \"{}\"; what was sent may or may not have been done",
                format_duration(timeout)
            )))
        })
    }

    async fn on_shared(&self, request: &Request<'_>) -> Result<Vec<Answer>, Error> {
        let live = self.link.shared().await?;
        let values = self.send(&live, request).await?;
        if let ([command], [value]) = (request.commands.as_slice(), values.as_slice())
            && lost_script(value)
        {
            // It was not run, so it can be run again.
            self.forget_scripts(&live);
            let values = self.send(&live, request).await?;
            return Ok(self.answers(&live, std::slice::from_ref(command), values));
        }
        Ok(self.answers(&live, &request.commands, values))
    }

    async fn on_its_own(&self, request: &Request<'_>) -> Result<Vec<Answer>, Error> {
        let alone = self.link.alone().await?;
        let values = self.send(&alone.live, request).await?;
        let answers = self.answers(&alone.live, &request.commands, values);
        self.link.give_back(alone);
        Ok(answers)
    }

    async fn made_as_one(&self, request: &Request<'_>) -> Result<Vec<Answer>, Error> {
        let live = self.link.shared().await?;
        let commands = self.written(&live, request).await?;
        self.multi(&live, request, commands).await
    }

    async fn made_if(
        &self,
        conditions: &[Condition],
        request: &Request<'_>,
    ) -> Result<Vec<Answer>, Error> {
        let alone = self.link.alone().await?;
        let live = &alone.live;
        // What may be refused is done before a key is watched: a watch that no EXEC
        // has ended would be the conflict of whoever has the connection next.
        let commands = match self.written(live, request).await {
            Ok(commands) => commands,
            Err(error) => {
                self.link.give_back(alone);
                return Err(error);
            }
        };
        let mut look = Pipeline::with_capacity(1 + conditions.len());
        let mut watch = redis::cmd("WATCH");
        conditions
            .iter()
            .for_each(|condition| write_key(&mut watch, self.prefix(), &condition.key));
        look.add_command(watch);
        for condition in conditions {
            let mut get = redis::cmd("GET");
            write_key(&mut get, self.prefix(), &condition.key);
            look.add_command(get);
        }
        let mut found = self.exchange(live, &look, 1 + conditions.len()).await?.into_iter();
        if let Some(Value::ServerError(error)) = found.next() {
            return Err(refusal(&error, self.prefix()));
        }
        let holds = |(condition, found): (&Condition, Value)| match (&condition.value, found) {
            (None, Value::Nil) => true,
            (Some(value), Value::BulkString(found)) => *value == found,
            _ => false,
        };
        let broken = conditions.iter().zip(found).position(|pair| !holds(pair));
        let result = match broken {
            Some(at) => {
                let mut unwatch = Pipeline::new();
                unwatch.add_command(redis::cmd("UNWATCH"));
                let ended = self.exchange(live, &unwatch, 1).await?;
                if !matches!(ended.as_slice(), [Value::Okay]) {
                    live.bury();
                }
                Err(Error::Conflict(format!("condition {at} does not hold")))
            }
            None => self.multi(live, request, commands).await,
        };
        // EXEC or UNWATCH has ended the watch, or the connection is buried.
        self.link.give_back(alone);
        result
    }

    /// `MULTI`, the commands, `EXEC`.
    async fn multi(
        &self,
        live: &Live,
        request: &Request<'_>,
        commands: Vec<Cmd>,
    ) -> Result<Vec<Answer>, Error> {
        let count = request.commands.len();
        let mut pipeline = Pipeline::with_capacity(count + 2);
        pipeline.add_command(redis::cmd("MULTI"));
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.add_command(redis::cmd("EXEC"));
        let mut values = self.exchange(live, &pipeline, count + 2).await?;
        let made = values.pop();
        match made {
            Some(Value::Array(values)) if values.len() == count => {
                Ok(self.answers(live, &request.commands, values))
            }
            Some(Value::Nil) => {
                Err(Error::Conflict("somebody changed a key of a condition meanwhile".into()))
            }
            Some(Value::ServerError(aborted)) => {
                // Any other refusal leaves MULTI or WATCH as it was.
                if aborted.code() != "EXECABORT" {
                    live.bury();
                }
                // The first refusal says more than that there was one.
                let first = values.iter().find_map(|value| match value {
                    Value::ServerError(error) => Some(error),
                    _ => None,
                });
                Err(refusal(first.unwrap_or(&aborted), self.prefix()))
            }
            _ => {
                live.bury();
                Err(short())
            }
        }
    }

    /// Sends the commands as they come.
    async fn send(&self, live: &Live, request: &Request<'_>) -> Result<Vec<Value>, Error> {
        let mut commands = self.written(live, request).await?;
        if commands.len() == 1
            && let Some(command) = commands.pop()
        {
            let begun = Waiting::new(live, self.grant.timeout.get());
            let sent = live.connection.clone().send_packed_command(&command).await;
            let value = self.received(live, sent)?;
            begun.ended();
            self.bytes.charge(weight(&value));
            return Ok(vec![value]);
        }
        let count = commands.len();
        let mut pipeline = Pipeline::with_capacity(count);
        for command in commands {
            pipeline.add_command(command);
        }
        self.exchange(live, &pipeline, count).await
    }

    async fn exchange(
        &self,
        live: &Live,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        let begun = Waiting::new(live, self.grant.timeout.get());
        let sent = live.connection.clone().send_packed_commands(pipeline, 0, count).await;
        let values = self.received(live, sent)?;
        begun.ended();
        self.bytes.charge(values.iter().map(weight).sum());
        if values.len() == count { Ok(values) } else { Err(short()) }
    }

    fn received<T>(&self, live: &Live, sent: Result<T, RedisError>) -> Result<T, Error> {
        sent.map_err(|error| self.link.broke(live, &error))
    }

    /// The commands as they go to the server.
    async fn written(&self, live: &Live, request: &Request<'_>) -> Result<Vec<Cmd>, Error> {
        let mut written = Vec::with_capacity(request.commands.len());
        for command in &request.commands {
            let script = match command.script() {
                Some(digest) => Some(self.script(live, digest).await?),
                None => None,
            };
            written.push(command.write(self.prefix(), script.as_deref()));
        }
        Ok(written)
    }

    /// What the server calls a script; it is given to it if it does not have it.
    async fn script(&self, live: &Live, digest: &[u8]) -> Result<String, Error> {
        let digest = std::str::from_utf8(digest).unwrap_or_default();
        let known = |live: &Live| {
            let scripts = live.scripts.lock().unwrap_or_else(PoisonError::into_inner);
            scripts.get(digest).cloned()
        };
        if let Some(name) = known(live) {
            return Ok(name);
        }
        let source = {
            let scripts = self.scripts.read().unwrap_or_else(PoisonError::into_inner);
            scripts.get(digest).cloned()
        };
        let Some(source) = source else {
            return self.denials.told(Err(Error::Denied(
                "EVALSHA names no script that `load-script` has taken; it goes by the SHA-256"
                    .into(),
            )));
        };
        let mut load = Pipeline::new();
        load.add_command(redis::cmd("SCRIPT").arg("LOAD").arg(source).clone());
        match self.exchange(live, &load, 1).await?.pop() {
            Some(Value::BulkString(name)) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                let mut scripts = live.scripts.lock().unwrap_or_else(PoisonError::into_inner);
                scripts.insert(digest.to_owned(), name.clone());
                Ok(name)
            }
            Some(Value::ServerError(error)) => Err(refusal(&error, self.prefix())),
            _ => Err(short()),
        }
    }

    fn forget_scripts(&self, live: &Live) {
        live.scripts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn answers(&self, live: &Live, commands: &[Admitted<'_>], values: Vec<Value>) -> Vec<Answer> {
        if values.iter().any(lost_script) {
            self.forget_scripts(live);
        }
        let answers = commands.iter().zip(values);
        answers.map(|(command, value)| answer(value, command.spec, self.prefix())).collect()
    }
}

/// A request under way. If nothing at all has come over the connection until it
/// is given up for its deadline, the connection is given up too: the server is
/// gone without a word. A caller that goes away early tells nothing of it.
struct Waiting<'a> {
    live: &'a Live,
    received: u64,
    begun: Instant,
    patience: Duration,
}

impl<'a> Waiting<'a> {
    fn new(live: &'a Live, timeout: Duration) -> Self {
        let patience = timeout / 2;
        Self { live, received: live.received(), begun: Instant::now(), patience }
    }

    fn ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.live.received() == self.received && self.begun.elapsed() >= self.patience {
            self.live.bury();
        }
    }
}

/// A command that waits would hold up all behind it.
fn alone(request: &Request<'_>) -> Result<(), Error> {
    match request.commands.iter().find(|command| command.waits.is_some()) {
        None => Ok(()),
        Some(command) => Err(Error::InvalidArgument(format!(
            "{} waits, so it goes alone, through `call`",
            command.spec.name
        ))),
    }
}

fn short() -> Error {
    Error::Internal("Redis answered less than it was asked".into())
}

/// About how many bytes a reply had.
fn weight(value: &Value) -> usize {
    16 + match value {
        Value::BulkString(bytes) => bytes.len(),
        Value::Array(items) | Value::Set(items) => items.iter().map(weight).sum(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| weight(key) + weight(value)).sum(),
        _ => 0,
    }
}

//! What a provider may reach: nothing, but what is listed here.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::decode::{Decoder, Node, Why};
use crate::http::{self, HttpGrant};
use crate::objects::{self, ObjectsGrant, ObjectsGrants};
use crate::path::host_path;
use crate::redis::{self, RedisGrant, RedisGrants, ScriptDigest};
use crate::sockets::{self, SocketGrant};
use crate::sql::{self, SqlGrant, SqlGrants};
use crate::stores::{self, StoreGrant, StoreGrants, StoreLabel};
use crate::suggest;

const FOLDER_KEYS: &[&str] = &["host", "guest", "mode"];
const EXAMPLE: &str = r#"grants = { sockets = ["127.0.0.1:6379"] }"#;
const FOLDERS_EXAMPLE: &str = r#"folders = [{ host = "./data", guest = "/data" }]"#;

/// The grants of one provider: `[modules.NAME.grants]`. Empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    folders: Vec<FolderGrant>,
    sockets: Vec<SocketGrant>,
    http: Vec<HttpGrant>,
    stores: StoreGrants,
    redis: RedisGrants,
    sql: SqlGrants,
    objects: ObjectsGrants,
    made_on_use: bool,
}

/// Two folders were granted at one place in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("another folder is granted at `{0}` already")]
pub struct DuplicateGuest(pub GuestPath);

impl Grants {
    /// The keys in `stheno.toml`.
    pub const KEYS: &'static [&'static str] =
        &["folders", "http", "sockets", "store", "redis", "sql", "objects"];

    /// One folder that is made when the provider first writes to it: what a
    /// local provider has where the config grants nothing.
    #[must_use]
    pub fn made_on_use(folder: FolderGrant) -> Self {
        Self { folders: vec![folder], made_on_use: true, ..Self::default() }
    }

    /// Whether its folders need not be there yet.
    pub fn are_made_on_use(&self) -> bool {
        self.made_on_use
    }

    /// The granted folders. No two have the same guest path.
    pub fn folders(&self) -> &[FolderGrant] {
        &self.folders
    }

    /// The granted destinations, each once.
    pub fn sockets(&self) -> &[SocketGrant] {
        &self.sockets
    }

    /// The granted servers, in the order in which they are asked.
    pub fn http(&self) -> &[HttpGrant] {
        &self.http
    }

    /// Grants requests to a server, after those that are granted already.
    pub fn add_http(&mut self, grant: HttpGrant) {
        self.http.push(grant);
    }

    /// The granted stores.
    pub fn stores(&self) -> &StoreGrants {
        &self.stores
    }

    /// Grants a store, in place of any that has the label.
    pub fn add_store(&mut self, label: StoreLabel, store: StoreGrant) {
        self.stores.insert(label, store);
    }

    /// The granted Redis bindings.
    pub fn redis(&self) -> &RedisGrants {
        &self.redis
    }

    /// Lets a script run through every Redis binding.
    pub fn add_redis_script(&mut self, script: &ScriptDigest) {
        for redis in self.redis.values_mut() {
            redis.scripts.insert(script.clone());
        }
    }

    /// Grants a Redis binding, in place of any that has the label.
    pub fn add_redis(&mut self, label: StoreLabel, redis: RedisGrant) {
        self.redis.insert(label, redis);
    }

    /// The granted SQL bindings.
    pub fn sql(&self) -> &SqlGrants {
        &self.sql
    }

    /// Grants an SQL binding, in place of any that has the label.
    pub fn add_sql(&mut self, label: StoreLabel, sql: SqlGrant) {
        self.sql.insert(label, sql);
    }

    /// The granted buckets.
    pub fn objects(&self) -> &ObjectsGrants {
        &self.objects
    }

    /// Grants a bucket, in place of any that has the label.
    pub fn add_objects(&mut self, label: StoreLabel, objects: ObjectsGrant) {
        self.objects.insert(label, objects);
    }

    /// Grants a folder.
    ///
    /// # Errors
    ///
    /// There is one at the same guest path.
    pub fn add_folder(&mut self, folder: FolderGrant) -> Result<(), DuplicateGuest> {
        if self.folders.iter().any(|other| other.guest == folder.guest) {
            return Err(DuplicateGuest(folder.guest));
        }
        self.folders.push(folder);
        Ok(())
    }

    /// Grants a destination. Once more changes nothing.
    pub fn add_socket(&mut self, socket: SocketGrant) {
        if !self.sockets.contains(&socket) {
            self.sockets.push(socket);
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Self {
        let mut grants = Self::default();
        let Some(section) = decoder.section(node, Self::KEYS, EXAMPLE) else {
            return grants;
        };
        let folders = section.get("folders").and_then(|node| decoder.array(&node, FOLDERS_EXAMPLE));
        for node in folders.unwrap_or_default() {
            let Some((folder, guest)) = FolderGrant::decode(decoder, &node) else {
                continue;
            };
            if grants.add_folder(folder).is_err() {
                decoder.fault(
                    &guest,
                    "another folder is granted at this guest path already",
                    "give each folder a guest path of its own, or remove one of the two",
                );
            }
        }
        let sockets =
            section.get("sockets").and_then(|node| decoder.array(&node, sockets::EXAMPLE));
        for node in sockets.unwrap_or_default() {
            if let Some(socket) = sockets::decode(decoder, &node) {
                grants.add_socket(socket);
            }
        }
        if let Some(node) = section.get("http") {
            grants.http = http::decode(decoder, &node);
        }
        if let Some(node) = section.get("store") {
            grants.stores = stores::decode(decoder, &node);
        }
        if let Some(node) = section.get("redis") {
            grants.redis = redis::decode(decoder, &node);
        }
        if let Some(node) = section.get("sql") {
            grants.sql = sql::decode(decoder, &node);
        }
        if let Some(node) = section.get("objects") {
            grants.objects = objects::decode(decoder, &node);
        }
        grants
    }
}

/// A folder of the host that a provider sees at a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderGrant {
    /// The folder on the host. It is not checked here that it exists.
    pub host: PathBuf,
    /// Where the provider sees it.
    pub guest: GuestPath,
    /// What the provider may do in it.
    pub mode: FolderMode,
}

impl FolderGrant {
    /// The grant, and the node of its guest path.
    fn decode<'t>(decoder: &mut Decoder<'_>, node: &Node<'t>) -> Option<(Self, Node<'t>)> {
        let base: &Path = decoder.base;
        let section = decoder.section(node, FOLDER_KEYS, FOLDERS_EXAMPLE)?;
        for key in ["host", "guest"] {
            if section.get(key).is_none() {
                decoder.fault(
                    node,
                    format!("the folder has no `{key}`"),
                    format!("write {FOLDERS_EXAMPLE}"),
                );
            }
        }
        let host = section.get("host").and_then(|node| {
            decoder.parsed(&node, "a folder", r#"host = "./data""#, |text| host_path(text, base))
        });
        let guest_node = section.get("guest");
        let guest = guest_node.as_ref().and_then(|node| {
            decoder.parsed(node, "a path in the guest", r#"guest = "/data""#, |text| {
                GuestPath::new(text).map_err(Why::reason)
            })
        });
        let mode = match section.get("mode") {
            None => Some(FolderMode::default()),
            Some(node) => decoder.parsed(&node, "a mode", r#"mode = "read-only""#, |text| {
                FolderMode::from_name(text).ok_or_else(|| Why {
                    instead: suggest::nearest(text, FolderMode::NAMES).map(str::to_owned),
                    ..Why::with_help(
                        "there is no such mode",
                        format!("the modes are {}", suggest::listed(FolderMode::NAMES)),
                    )
                })
            }),
        };
        Some((Self { host: host?, guest: guest?, mode: mode? }, guest_node?))
    }
}

/// What a provider may do in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FolderMode {
    /// `"read-only"`, the default: list and read.
    #[default]
    ReadOnly,
    /// `"read-write"`: create, change and delete as well.
    ReadWrite,
}

impl FolderMode {
    const NAMES: &'static [&'static str] = &["read-only", "read-write"];

    fn from_name(name: &str) -> Option<Self> {
        [Self::ReadOnly, Self::ReadWrite].into_iter().find(|mode| mode.as_str() == name)
    }

    /// As `stheno.toml` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        }
    }
}

/// A path inside a guest: absolute, with no `.`, `..`, empty step or closing
/// slash, so that two of them are the same folder only if they are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(String);

/// Why a text is not a [`GuestPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GuestPathError {
    /// It does not begin with a slash.
    #[error("it does not begin with `/`")]
    Relative,
    /// It has a `..` step.
    #[error("it has a `..` step")]
    Climbs,
    /// It has a control character or a backslash.
    #[error("it has a control character or a backslash")]
    Characters,
}

impl GuestPath {
    /// Takes a path; `.`, empty steps and a closing slash are left out.
    ///
    /// # Errors
    ///
    /// It is relative, climbs, or has characters that no guest can name.
    pub fn new(text: &str) -> Result<Self, GuestPathError> {
        let steps = text.strip_prefix('/').ok_or(GuestPathError::Relative)?;
        if text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(GuestPathError::Characters);
        }
        let steps: Vec<&str> =
            steps.split('/').filter(|step| !step.is_empty() && *step != ".").collect();
        if steps.contains(&"..") {
            return Err(GuestPathError::Climbs);
        }
        Ok(Self(format!("/{}", steps.join("/"))))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_guest_path_is_absolute_normal_and_stays_itself(text in "(/|\\.|\\.\\.|a|b c|ü|\\\\|\n){0,12}") {
            if let Ok(path) = GuestPath::new(&text) {
                let path = path.as_str();
                prop_assert!(path.starts_with('/'));
                prop_assert!(path == "/" || !path.ends_with('/'));
                prop_assert!(path == "/" || path.split('/').skip(1).all(|step| !["", ".", ".."].contains(&step)));
                let again = GuestPath::new(path).unwrap();
                prop_assert_eq!(again.as_str(), path);
            }
        }
    }
}

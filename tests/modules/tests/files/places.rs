//! Where providers keep their files, seen past them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use stheno::ErrorKind;
use stheno::config::{
    Bucket, FolderGrant, FolderMode, GuestPath, ObjectsCredentials, ObjectsEndpoint, ObjectsGrant,
    ObjectsKeys, ObjectsPrefix, ProviderConfig, Resolve, Secret, StoreLabel,
};
use stheno_test_support::{ObjectServer, guest};
use tempfile::TempDir;

/// The bucket of all tests.
pub(crate) const BUCKET: &str = "shop";

/// The server that all tests share that do not stop it.
pub(crate) fn shared() -> &'static ObjectServer {
    static SERVER: OnceLock<ObjectServer> = OnceLock::new();
    SERVER.get_or_init(|| ObjectServer::start(&[BUCKET]))
}

/// A number that no other place has.
fn own() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A binding to the server at this URL.
pub(crate) fn grant(url: &str, prefix: &str) -> ObjectsGrant {
    let keys = ObjectsCredentials::Keys(ObjectsKeys {
        access_key_id: Secret::new(ObjectServer::ACCESS_KEY),
        secret_access_key: Secret::new(ObjectServer::SECRET_KEY),
        session_token: None,
    });
    let (bucket, prefix) = (Bucket::new(BUCKET).unwrap(), ObjectsPrefix::new(prefix).unwrap());
    let mut grant = ObjectsGrant::new(bucket, prefix, keys);
    grant.endpoint = Some(ObjectsEndpoint::new(url).unwrap());
    grant.path_style = true;
    grant
}

/// The built-in provider with this grant.
pub(crate) fn on(grant: ObjectsGrant) -> ProviderConfig {
    let mut provider = ProviderConfig::new(Resolve::parse("files-s3", Path::new("")).unwrap());
    provider.grants.add_objects(StoreLabel::new("default").unwrap(), grant);
    provider
}

/// Where a provider keeps its files, and nobody else does.
pub(crate) enum Place {
    /// A folder.
    Folder(TempDir),
    /// The shared bucket below this prefix.
    Bucket(String),
}

/// Something beside a place, which is none of the provider's.
pub(crate) enum Outside {
    /// A file.
    File(PathBuf),
    /// An object.
    Object(String),
}

const SECRET: &[u8] = b"secret";

impl Place {
    pub(crate) fn folder() -> Self {
        Self::Folder(TempDir::new().unwrap())
    }

    pub(crate) fn bucket() -> Self {
        Self::Bucket(format!("t{}/", own()))
    }

    /// Another of its kind.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Folder(_) => Self::folder(),
            Self::Bucket(_) => Self::bucket(),
        }
    }

    /// The provider on it.
    pub(crate) fn provider(&self) -> ProviderConfig {
        match self {
            Self::Bucket(prefix) => on(grant(&shared().url(), prefix)),
            Self::Folder(folder) => {
                let mut provider = ProviderConfig::new(Resolve::File(guest("files-local")));
                let grant = FolderGrant {
                    host: folder.path().to_owned(),
                    guest: GuestPath::new("/files").unwrap(),
                    mode: FolderMode::ReadWrite,
                };
                provider.grants.add_folder(grant).unwrap();
                provider
            }
        }
    }

    /// The folder, if it is one.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.path(),
            Self::Bucket(prefix) => panic!("{prefix} is no folder"),
        }
    }

    /// Sees to it that a file cannot be removed: how that ends, and whether the
    /// file is still one.
    pub(crate) fn hold(&self, key: &str) -> (ErrorKind, bool) {
        match self {
            Self::Folder(folder) => {
                // A folder in the place of a file cannot be removed as one.
                std::fs::remove_file(folder.path().join(key)).unwrap();
                std::fs::create_dir(folder.path().join(key)).unwrap();
                (ErrorKind::Conflict, false)
            }
            Self::Bucket(prefix) => {
                shared().hold(BUCKET, &format!("{prefix}{key}"));
                (ErrorKind::Denied, true)
            }
        }
    }

    /// The longest name that can be stored here. `s3s-fs` makes one name of a file
    /// of each key.
    pub(crate) fn longest_name(&self) -> usize {
        match self {
            Self::Folder(_) => 200,
            Self::Bucket(_) => 100,
        }
    }

    /// Whether something lies outside whose name has this in it.
    pub(crate) fn has_let_out(&self, part: &str) -> bool {
        match self {
            Self::Folder(folder) => {
                folder.path().parent().unwrap().join(part).exists()
                    || Path::new("/").join(part).exists()
            }
            Self::Bucket(prefix) => {
                let keys = shared().keys(BUCKET);
                keys.iter().any(|key| key.contains(part) && !key.starts_with(prefix))
            }
        }
    }

    /// Puts something beside it, and says by which ways one could try to get there.
    pub(crate) fn outside(&self) -> (Outside, Vec<String>) {
        let name = format!("outside-{}-{}", std::process::id(), own());
        let up = format!("../{name}");
        match self {
            Self::Folder(folder) => {
                let path = folder.path().parent().unwrap().join(&name);
                std::fs::write(&path, SECRET).unwrap();
                let absolute = path.to_str().unwrap().to_owned();
                (Outside::File(path), vec![up, absolute])
            }
            Self::Bucket(_) => {
                shared().place(BUCKET, &name, SECRET);
                let ways = vec![up, format!("/{name}"), format!("/{BUCKET}/{name}")];
                (Outside::Object(name), ways)
            }
        }
    }
}

impl Outside {
    pub(crate) fn is_untouched(&self) -> bool {
        let body = match self {
            Self::File(path) => std::fs::read(path).ok(),
            Self::Object(key) => shared().body(BUCKET, key),
        };
        body.as_deref() == Some(SECRET)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Self::File(path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

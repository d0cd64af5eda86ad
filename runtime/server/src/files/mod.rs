//! Routes of the files. Bodies stream both ways; none is ever in memory whole.
//!
//! `calls` has what is described by JSON, `upload` and `download` move bodies,
//! `open` is what anybody may use: plain URLs of public files, and links.

mod calls;
mod download;
mod open;
mod upload;

use axum::routing::get;
use serde::{Deserialize, Serialize};
use stheno::{Access, FileInfo, Files, NewFile};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::router::Api;
use crate::wire::{self, Pairs};

pub(crate) use open::OPEN;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(upload::put))
        .routes(routes!(download::content))
        .routes(routes!(calls::info))
        .routes(routes!(calls::list))
        .routes(routes!(calls::delete))
        .routes(routes!(calls::copy))
        .routes(routes!(calls::download_url))
        .routes(routes!(calls::upload_url))
        .routes(routes!(open::read_link, open::write_link))
        // Its path is the key and more than one segment, which OpenAPI cannot
        // say.
        .route(open::PLAIN, get(open::plain))
        .route(open::PLAIN_OF_STORE, get(open::plain_of_store))
}

impl Api {
    /// The file store that a call names, or the default one.
    fn files(&self, store: Option<&str>) -> Result<&Files, ApiError> {
        match store {
            None => Ok(self.runtime().files()),
            Some(id) => Ok(self.runtime().files_of(id)?),
        }
    }
}

/// Who may read a file by its plain URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AccessBody {
    /// Anybody.
    Public,
    /// Nobody: it takes a call, or a link that expires.
    #[default]
    Private,
}

impl From<AccessBody> for Access {
    fn from(access: AccessBody) -> Self {
        match access {
            AccessBody::Public => Self::Public,
            AccessBody::Private => Self::Private,
        }
    }
}

/// A stored file.
#[derive(Serialize, ToSchema)]
struct FileBody {
    /// What names it from now on.
    #[schema(example = "invoices/1001-01KDVDNA00Q5W3T7ZD2R8XJ4GN.pdf")]
    key: String,
    /// The name that it was uploaded under.
    #[schema(example = "invoices/1001.pdf")]
    name: String,
    /// Bytes of its body.
    size: u64,
    #[schema(example = "application/pdf")]
    content_type: String,
    access: AccessBody,
    #[schema(required = true)]
    cache_control: Option<String>,
    #[schema(value_type = std::collections::HashMap<String, String>)]
    metadata: Pairs,
    /// When it was stored, in milliseconds since 1970.
    modified_ms: u64,
    /// The ETag of its body, without quotes.
    etag: String,
    /// Where anybody can read it; `null` for a private file.
    #[schema(required = true)]
    url: Option<String>,
}

impl From<FileInfo> for FileBody {
    fn from(info: FileInfo) -> Self {
        Self {
            key: info.key,
            name: info.name,
            size: info.size,
            content_type: info.content_type,
            access: match info.access {
                Access::Public => AccessBody::Public,
                Access::Private => AccessBody::Private,
            },
            cache_control: info.cache_control,
            metadata: Pairs(info.metadata),
            modified_ms: wire::unix_ms(info.modified),
            etag: info.etag,
            url: info.url,
        }
    }
}

/// A file to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFileBody {
    /// The name that its key is made from; `/` parts folders. 1 to 1,024 bytes.
    #[schema(example = "invoices/1001.pdf")]
    name: String,
    /// Without it, `application/octet-stream`.
    content_type: Option<String>,
    /// Without it, `private`.
    #[serde(default)]
    #[schema(required = false)]
    access: AccessBody,
    /// Without it, the provider's default.
    cache_control: Option<String>,
    /// At most 32 pairs.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    metadata: Pairs,
}

impl From<NewFileBody> for NewFile {
    fn from(file: NewFileBody) -> Self {
        Self {
            name: file.name,
            content_type: file.content_type,
            access: file.access.into(),
            cache_control: file.cache_control,
            metadata: file.metadata.0,
        }
    }
}

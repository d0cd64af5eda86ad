//! `grants.objects`: buckets that a provider sees through a prefix of its own.

mod credentials;
mod endpoint;
mod limits;
mod names;

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::StoreLabel;
use crate::bounded;
use crate::decode::{Decoder, Node, Section, Why};
use crate::path::host_path;

pub use credentials::{ObjectsCredentials, ObjectsKeys};
pub use endpoint::{ObjectsEndpoint, ObjectsEndpointError};
pub use limits::{
    ObjectsInFlight, ObjectsLinkExpiry, ObjectsMaxSize, ObjectsOperations, ObjectsTimeout,
};
pub use names::{Bucket, BucketError, ObjectsPrefix, ObjectsPrefixError, Region, RegionError};

const KEYS: &[&str] = &[
    "bucket",
    "prefix",
    "endpoint",
    "region",
    "path_style",
    "plain_http",
    "public",
    "ca",
    credentials::ID,
    credentials::SECRET,
    credentials::SESSION,
    credentials::CHAIN,
    ObjectsTimeout::KEY,
    ObjectsOperations::KEY,
    ObjectsInFlight::KEY,
    ObjectsMaxSize::KEY,
    ObjectsLinkExpiry::KEY,
];
const EXAMPLE: &str = r#"objects.default = { bucket = "shop-files", prefix = "files/", access_key_id = "${S3_KEY}", secret_access_key = "${S3_SECRET}" }"#;

/// The granted bindings by their labels. Labels of all capabilities are alike.
pub type ObjectsGrants = BTreeMap<StoreLabel, ObjectsGrant>;

/// One bucket, seen through one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsGrant {
    /// The bucket. It is not made here.
    pub bucket: Bucket,
    /// What every key begins with.
    pub prefix: ObjectsPrefix,
    /// The server; none is Amazon's.
    pub endpoint: Option<ObjectsEndpoint>,
    /// The region that requests are signed for.
    pub region: Region,
    /// Whether the bucket is named in the path and not in the host: what most
    /// servers other than Amazon's need.
    pub path_style: bool,
    /// Whether the provider may make objects that anybody can read.
    pub public: bool,
    /// A file of certificates in PEM to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// As whom requests are signed.
    pub credentials: ObjectsCredentials,
    /// How long the server may take.
    pub timeout: ObjectsTimeout,
    /// How many requests may begin.
    pub operations_per_second: ObjectsOperations,
    /// How many requests may be under way.
    pub in_flight: ObjectsInFlight,
    /// How large an object may be.
    pub max_object_size: ObjectsMaxSize,
    /// How long a link may be valid.
    pub max_link_expiry: ObjectsLinkExpiry,
}

impl ObjectsGrant {
    /// A binding to Amazon's server with the default quotas.
    #[must_use]
    pub fn new(bucket: Bucket, prefix: ObjectsPrefix, credentials: ObjectsCredentials) -> Self {
        Self {
            bucket,
            prefix,
            endpoint: None,
            region: Region::default(),
            path_style: false,
            public: false,
            ca: None,
            credentials,
            timeout: ObjectsTimeout::DEFAULT,
            operations_per_second: ObjectsOperations::DEFAULT,
            in_flight: ObjectsInFlight::DEFAULT,
            max_object_size: ObjectsMaxSize::DEFAULT,
            max_link_expiry: ObjectsLinkExpiry::DEFAULT,
        }
    }
}

/// Reads the table of labels.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> ObjectsGrants {
    let mut grants = ObjectsGrants::new();
    for (name, node) in decoder.entries(node, EXAMPLE) {
        let label = StoreLabel::new(&name);
        if let Err(error) = label {
            decoder.fault(
                &node,
                format!("{name:?} is not a label: {error}"),
                format!("write {EXAMPLE}"),
            );
        }
        if let (Some(grant), Ok(label)) = (decode_one(decoder, &node), label) {
            grants.insert(label, grant);
        }
    }
    grants
}

fn decode_one(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<ObjectsGrant> {
    let section = decoder.section(node, KEYS, EXAMPLE)?;
    for key in ["bucket", "prefix"] {
        if section.get(key).is_none() {
            decoder.fault(node, format!("the binding has no `{key}`"), format!("write {EXAMPLE}"));
        }
    }
    let bucket = section.get("bucket").and_then(|node| {
        decoder.parsed(&node, "the name of a bucket", r#"bucket = "shop-files""#, |text| {
            Bucket::new(text).map_err(Why::reason)
        })
    });
    let prefix = section.get("prefix").and_then(|node| {
        let parse = |text: &str| {
            ObjectsPrefix::new(text).map_err(|error| match error {
                ObjectsPrefixError::Open => {
                    Why { instead: Some(format!("{text}/")), ..Why::reason(error) }
                }
                error => Why::reason(error),
            })
        };
        let example = r#"prefix = "files/" (or "" for the whole bucket)"#;
        decoder.parsed(&node, "a prefix", example, parse)
    });
    let credentials = credentials::decode(decoder, node, &section);
    let endpoint = endpoint(decoder, &section);
    let region = match section.get("region") {
        None => Some(Region::default()),
        Some(node) => decoder.parsed(&node, "a region", r#"region = "eu-central-1""#, |text| {
            Region::new(text).map_err(Why::reason)
        }),
    };
    let ca = section.get("ca").and_then(|node| {
        let base = decoder.base;
        decoder.parsed(&node, "a file", r#"ca = "./ca.pem""#, |text| host_path(text, base))
    });
    let path_style = flag(decoder, &section, "path_style");
    let public = flag(decoder, &section, "public");
    let timeout = bounded::decode(decoder, &section);
    let operations_per_second = bounded::decode(decoder, &section);
    let in_flight = bounded::decode(decoder, &section);
    let max_object_size = bounded::decode(decoder, &section);
    let max_link_expiry = bounded::decode(decoder, &section);
    Some(ObjectsGrant {
        bucket: bucket?,
        prefix: prefix?,
        endpoint: endpoint?,
        region: region?,
        path_style: path_style?,
        public: public?,
        ca,
        credentials: credentials?,
        timeout,
        operations_per_second,
        in_flight,
        max_object_size,
        max_link_expiry,
    })
}

/// The server, if one is named. None of it is shown: somebody may have written
/// a password into it.
fn endpoint(decoder: &mut Decoder<'_>, section: &Section<'_>) -> Option<Option<ObjectsEndpoint>> {
    let example = r#"endpoint = "https://s3.example.com""#;
    let may_be_open = flag(decoder, section, "plain_http")?;
    let Some(node) = section.get("endpoint") else { return Some(None) };
    let endpoint = decoder.secret(&node, "the URL of a server", example, |text| {
        ObjectsEndpoint::new(text).map_err(Why::reason)
    })?;
    if endpoint.is_open() && !may_be_open {
        decoder.fault(
            &node,
            "bodies would travel in the clear",
            "write an `https://` URL; within a network that you trust say so: plain_http = true",
        );
        return None;
    }
    Some(Some(endpoint))
}

fn flag(decoder: &mut Decoder<'_>, section: &Section<'_>, key: &str) -> Option<bool> {
    let Some(node) = section.get(key) else { return Some(false) };
    let DeValue::Boolean(flag) = node.value else {
        decoder.wrong_type(&node, "`true` or `false`", &format!("{key} = true"));
        return None;
    };
    Some(*flag)
}

//! What is particular to locks that are on a Redis server.

use std::path::Path;

use stheno::config::{
    ProviderConfig, RedisGrant, RedisPrefix, RedisUrl, Resolve, StoreLabel,
};
use stheno_test_support::RedisServer;

pub(crate) fn grant(server: &RedisServer, prefix: &str) -> RedisGrant {
    let url = RedisUrl::new(&server.url()).unwrap();
    RedisGrant::new(url, RedisPrefix::new(prefix).unwrap())
}

/// The built-in provider with this grant.
pub(crate) fn provider(grant: RedisGrant) -> ProviderConfig {
    let resolve = Resolve::parse("locking-redis", Path::new("")).unwrap();
    let mut provider = ProviderConfig::new(resolve);
    provider.grants.add_redis(StoreLabel::new("default").unwrap(), grant);
    provider
}

//! The client of one binding.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use stheno_config::{ObjectsCredentials, ObjectsEndpoint, ObjectsGrant};

use super::answers::Bounded;
use crate::tls;

/// How long an idle connection is kept: shorter than servers keep theirs.
const IDLE: Duration = Duration::from_secs(15);
/// How often one request is sent at most, and the pause after the first time.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Makes the client. Reaches no server.
///
/// # Errors
///
/// Why TLS cannot be had.
pub(super) async fn client(grant: &ObjectsGrant) -> Result<Client, String> {
    let http = http(grant).await?;
    let region = Region::new(grant.region.as_str().to_owned());
    let credentials = match &grant.credentials {
        ObjectsCredentials::Keys(keys) => SharedCredentialsProvider::new(Credentials::new(
            keys.access_key_id.expose_secret(),
            keys.secret_access_key.expose_secret(),
            keys.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "stheno",
        )),
        ObjectsCredentials::Chain => {
            let config = ProviderConfig::without_region()
                .with_region(Some(region.clone()))
                .with_http_client(http.clone());
            let chain = DefaultCredentialsChain::builder().region(region.clone()).configure(config);
            SharedCredentialsProvider::new(chain.build().await)
        }
    };
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(credentials)
        .http_client(http)
        .force_path_style(grant.path_style)
        // Not every server knows the checksums that the SDK would add; TLS sees
        // to it that bodies arrive as they were sent.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_PAUSE)
                .with_max_backoff(LONGEST_PAUSE),
        )
        // The deadline of a request is the binding's own, and so is that of a
        // body: a caller may read as slowly as it likes.
        .timeout_config(TimeoutConfig::builder().connect_timeout(grant.timeout.get()).build())
        .interceptor(Bounded)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &grant.endpoint {
        config = config.endpoint_url(endpoint.to_string());
    }
    Ok(Client::from_conf(config.build()))
}

async fn http(grant: &ObjectsGrant) -> Result<SharedHttpClient, String> {
    let plain = grant.endpoint.as_ref().is_some_and(ObjectsEndpoint::is_plain);
    let trusted = if plain {
        TrustStore::empty()
    } else {
        // The SDK takes certificates for granted and panics without.
        tls::trusting(grant.ca.clone()).await.map_err(|error| error.to_string())?;
        match &grant.ca {
            None => TrustStore::default(),
            Some(file) => {
                let pem = tokio::fs::read(file).await.map_err(|error| error.to_string())?;
                TrustStore::empty().with_pem_certificate(pem)
            }
        }
    };
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| error.to_string())?;
    Ok(Builder::new()
        .pool_idle_timeout(IDLE)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

//! Answers of a server, bounded.
//!
//! The SDK reads the whole of every answer that is not a body of an object. A server
//! that never ends one would fill the host.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// The most bytes of such an answer: a thousand keys of the longest kind, each of
/// whose characters XML writes as six, and what else stands beside them.
pub(super) const ANSWER_BYTES: usize = 8 << 20;

/// Cuts off what is longer.
#[derive(Debug)]
pub(super) struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        let gives = config.load::<Metadata>().is_some_and(|asked| asked.name() == "GetObject");
        if !(gives && answer.status().is_success()) {
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, ANSWER_BYTES));
        }
        Ok(())
    }
}

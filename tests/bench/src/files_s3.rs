//! `files-s3` behind the embed API, beside the bare `aws-sdk-s3`: 100 MiB up and
//! down, and how much memory that takes.
//!
//! The SDK sends a body whose end it does not know as it is usually done, in parts of
//! 8 MiB, two at a time. The server is a process of its own, this program once more,
//! so that neither its memory nor its CPU time count.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use stheno::config::{
    Bucket, ModuleName, ObjectsCredentials, ObjectsEndpoint, ObjectsGrant, ObjectsKeys,
    ObjectsPrefix, ProviderConfig, Resolve, Secret, StoreLabel,
};
use stheno::{Files, NewFile, Runtime};
use stheno_test_support::{ObjectProcess, ObjectServer};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::measure::Row;
use crate::transfer::{ROUNDS, Sum, drain, peak, reset_peak, resident, source};

const BENCH: &str = "files-s3";
const BASELINE: &str = "aws-sdk-s3, bare";
const BUCKET: &str = "bench";
const KEY: &str = "bare/bench.bin";
const PART: usize = 8 << 20;
const AT_ONCE: usize = 2;

pub(crate) async fn run(print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let server = ObjectProcess::start(std::env::current_exe()?, &[BUCKET]);
    let runtime = start(&server.url()).await?;
    let files = runtime.files().clone();
    // What both sides need once is there before anything is counted.
    let stored = files.put(NewFile::new("warm"), source()).await?;
    drain(files.get(&stored.key).await?).await?;
    remove(&files, stored.key).await?;
    let above = memory(&files).await?;

    let bare = bare(&server.url());
    let (mut ours, mut theirs) = (Sum::new(), Sum::new());
    let (mut ours_down, mut theirs_down) = (Sum::new(), Sum::new());
    // In turn, so that both meet the same machine.
    for _ in 0..ROUNDS {
        theirs.add(bare_up(&bare)).await?;
        theirs_down.add(bare_down(&bare)).await?;
        let mut key = String::new();
        ours.add(async {
            key = files.put(NewFile::new("bench.bin"), source()).await?.key;
            Ok(())
        })
        .await?;
        ours_down.add(async { drain(files.get(&key).await?).await }).await?;
        remove(&files, key).await?;
    }
    print(ours.measured().row(BENCH, "put 100 MiB", 1, Some((BASELINE, theirs.measured()))));
    let down = ours_down.measured();
    print(down.row(BENCH, "get 100 MiB", 1, Some((BASELINE, theirs_down.measured()))));
    eprintln!("{BENCH}: peak memory {above} MiB above idle, without the native side");
    runtime.shutdown().await?;
    Ok(())
}

/// How many MiB one file up and down takes above what is there idle.
async fn memory(files: &Files) -> anyhow::Result<u64> {
    let idle = resident()?;
    reset_peak()?;
    for _ in 0..3 {
        let key = files.put(NewFile::new("memory.bin"), source()).await?.key;
        drain(files.get(&key).await?).await?;
        remove(files, key).await?;
    }
    Ok(peak()?.saturating_sub(idle) / 1024)
}

async fn start(url: &str) -> anyhow::Result<Runtime> {
    let keys = ObjectsCredentials::Keys(ObjectsKeys {
        access_key_id: Secret::new(ObjectServer::ACCESS_KEY),
        secret_access_key: Secret::new(ObjectServer::SECRET_KEY),
        session_token: None,
    });
    let mut grant = ObjectsGrant::new(Bucket::new(BUCKET)?, ObjectsPrefix::new("files/")?, keys);
    grant.endpoint = Some(ObjectsEndpoint::new(url)?);
    grant.path_style = true;
    let mut provider = ProviderConfig::new(Resolve::parse("files-s3", Path::new(""))?);
    provider.grants.add_objects(StoreLabel::new("default")?, grant);
    Ok(Runtime::builder().provider(ModuleName::Files, provider).build().await?)
}

async fn remove(files: &Files, key: String) -> anyhow::Result<()> {
    for removed in files.delete([key]).await? {
        removed?;
    }
    Ok(())
}

fn bare(url: &str) -> Client {
    let keys = (ObjectServer::ACCESS_KEY, ObjectServer::SECRET_KEY);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(keys.0, keys.1, None, None, "bench"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(true)
        .endpoint_url(url);
    Client::from_conf(config.build())
}

async fn bare_up(bare: &Client) -> anyhow::Result<()> {
    let begun = bare.create_multipart_upload().bucket(BUCKET).key(KEY).send().await?;
    let id = begun.upload_id.ok_or_else(|| anyhow::anyhow!("the upload has no id"))?;
    let mut source = source();
    let mut sending = JoinSet::new();
    let mut parts = Vec::new();
    for number in 1.. {
        let mut part = Vec::with_capacity(PART);
        let mut rest = (&mut source).take(PART as u64);
        while rest.read_buf(&mut part).await? > 0 {}
        if part.is_empty() {
            break;
        }
        while sending.len() >= AT_ONCE {
            parts.extend(sending.join_next().await.transpose()?.transpose()?);
        }
        let request = bare.upload_part().bucket(BUCKET).key(KEY).upload_id(&id);
        let request = request.part_number(number).body(ByteStream::from(part));
        sending.spawn(async move {
            let tag = request.send().await?.e_tag;
            let part = CompletedPart::builder().part_number(number).set_e_tag(tag).build();
            anyhow::Ok(part)
        });
    }
    while let Some(sent) = sending.join_next().await {
        parts.push(sent??);
    }
    parts.sort_by_key(CompletedPart::part_number);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let request = bare.complete_multipart_upload().bucket(BUCKET).key(KEY).upload_id(id);
    request.multipart_upload(parts).send().await?;
    Ok(())
}

async fn bare_down(bare: &Client) -> anyhow::Result<()> {
    let answer = bare.get_object().bucket(BUCKET).key(KEY).send().await?;
    drain(answer.body.into_async_read()).await
}

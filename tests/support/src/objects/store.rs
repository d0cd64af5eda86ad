//! What keeps the objects: `s3s-fs`, made to do in three places what S3 does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::http::Extensions;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, Error, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, PutObjectInput, PutObjectOutput, Range, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::{Mutex as Turn, MutexGuard};

/// Objects that may not be removed: bucket and key.
pub(super) type Held = Arc<Mutex<HashSet<(String, String)>>>;

/// The files of `s3s-fs`.
pub(super) struct Store {
    files: FileSystem,
    held: Held,
    /// `s3s-fs` looks whether an object is there, and makes it later.
    conditional: Turn<()>,
}

impl Store {
    pub(super) fn new(files: FileSystem, held: Held) -> Self {
        Self { files, held, conditional: Turn::new(()) }
    }

    async fn turn(&self, is_conditional: bool) -> Option<MutexGuard<'_, ()>> {
        if is_conditional { Some(self.conditional.lock().await) } else { None }
    }
}

macro_rules! as_files_do {
    ($($name:ident: $input:ident -> $output:ident),* $(,)? ; $($own:tt)*) => {
        #[async_trait::async_trait]
        impl S3 for Store {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.files.$name(request).await
                }
            )*
            $($own)*
        }
    };
}

as_files_do! {
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput,
    copy_object: CopyObjectInput -> CopyObjectOutput,
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput,
    delete_object: DeleteObjectInput -> DeleteObjectOutput,
    head_bucket: HeadBucketInput -> HeadBucketOutput,
    head_object: HeadObjectInput -> HeadObjectOutput,
    list_objects: ListObjectsInput -> ListObjectsOutput,
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output,
    upload_part: UploadPartInput -> UploadPartOutput;

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let _turn = self.turn(request.input.if_none_match.is_some()).await;
        self.files.put_object(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _turn = self.turn(request.input.if_none_match.is_some()).await;
        self.files.complete_multipart_upload(request).await
    }

    // The last bytes of an object that has fewer are all of it, if there are any.
    async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        if let Some(Range::Suffix { length }) = request.input.range {
            let head = HeadObjectInput {
                bucket: request.input.bucket.clone(),
                key: request.input.key.clone(),
                ..HeadObjectInput::default()
            };
            let head = S3Request {
                input: head,
                method: request.method.clone(),
                uri: request.uri.clone(),
                headers: request.headers.clone(),
                extensions: Extensions::new(),
                credentials: None,
                region: None,
                service: None,
                trailing_headers: None,
            };
            let head = self.files.head_object(head).await?;
            let size = head.output.content_length.and_then(|size| u64::try_from(size).ok());
            let length = size.map_or(length, |size| length.min(size));
            if length == 0 {
                return Err(s3_error!(InvalidRange));
            }
            request.input.range = Some(Range::Suffix { length });
        }
        self.files.get_object(request).await
    }

    // One that may not be removed is an error of its own, beside the others.
    async fn delete_objects(
        &self,
        mut request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = request.input.bucket.clone();
        let mut errors = Vec::new();
        {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            request.input.delete.objects.retain(|object| {
                let is_held = held.contains(&(bucket.clone(), object.key.clone()));
                if is_held {
                    errors.push(Error {
                        code: Some("AccessDenied".to_owned()),
                        key: Some(object.key.clone()),
                        message: Some("it may not be removed".to_owned()),
                        version_id: None,
                    });
                }
                !is_held
            });
        }
        let mut answer = self.files.delete_objects(request).await?;
        if !errors.is_empty() {
            answer.output.errors = Some(errors);
        }
        Ok(answer)
    }
}

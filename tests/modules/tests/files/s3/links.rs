//! Links past the host, and who may read.

use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use stheno::config::{ObjectsGrant, ObjectsLinkExpiry};
use stheno::{Access, ErrorKind, NewFile};

use super::{MINUTE, Own};
use crate::{FILES_S3, Subject};

async fn status(method: Method, url: &str, headers: &[(&str, &str)]) -> StatusCode {
    let mut request = Client::new().request(method, url).body("body");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_reads_its_file_and_nothing_else() {
    let s = Subject::start(&FILES_S3).await;
    let file = NewFile::new("invoices/ü 1.pdf").content_type("application/pdf");
    let stored = s.files.put_bytes(file, b"0123456789").await.unwrap();
    let other = s.put("other", b"other").await;
    let url = s.files.download_url(&stored.key, MINUTE).await.unwrap();
    let answer = Client::new().get(&url).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    let disposition = header("content-disposition");
    assert_eq!(disposition, "attachment; filename*=UTF-8''%C3%BC%201.pdf");
    assert_eq!(answer.bytes().await.unwrap(), &b"234"[..]);
    for method in [Method::PUT, Method::DELETE, Method::POST] {
        assert_eq!(status(method, &url, &[]).await, StatusCode::FORBIDDEN);
    }
    let (_, query) = url.split_once('?').unwrap();
    let (path, _) = url.split_once("invoices/").unwrap();
    for forged in [
        format!("{path}{}?{query}", other.key),
        format!("{path}?{query}"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        url.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        format!("{path}{}", other.key),
    ] {
        assert_ne!(forged, url);
        let answered = status(Method::GET, &forged, &[]).await;
        assert!(answered.is_client_error(), "{answered} of {forged}");
    }
    assert_eq!(s.read_by(&url).await.unwrap(), b"0123456789");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_link_takes_what_it_was_made_for_and_nothing_else() {
    let s = Subject::start(&FILES_S3).await;
    let file = NewFile::new("a.csv").content_type("text/csv").metadata("k", "ü  'v'");
    let upload = s.files.upload_url(file.clone(), MINUTE).await.unwrap();
    let headers: Vec<_> = upload.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    for left_out in ["content-type", "if-none-match", "x-amz-meta-stheno"] {
        assert!(headers.iter().any(|(name, _)| *name == left_out), "{headers:?}");
        let some: Vec<_> = headers.iter().copied().filter(|(name, _)| *name != left_out).collect();
        assert_eq!(status(Method::PUT, &upload.url, &some).await, StatusCode::FORBIDDEN);
        let other = [&some[..], &[(left_out, "text/html")]].concat();
        assert_eq!(status(Method::PUT, &upload.url, &other).await, StatusCode::FORBIDDEN);
    }
    let elsewhere = upload.url.replace("a-0", "b-0");
    assert_ne!(elsewhere, upload.url);
    assert_eq!(status(Method::PUT, &elsewhere, &headers).await, StatusCode::FORBIDDEN);
    assert_eq!(status(Method::GET, &upload.url, &headers).await, StatusCode::FORBIDDEN);
    assert!(s.keys("", 10).await.is_empty());

    let before = std::time::SystemTime::now() - MINUTE;
    s.fill_by(&upload, b"a,b").await.unwrap();
    let stored = s.files.stat(&upload.key).await.unwrap();
    assert_eq!((&stored.name, &stored.metadata), (&file.name, &file.metadata));
    assert!(stored.modified > before, "the server's clock tells when");
    // With the same link, after the file was removed.
    assert_eq!(s.files.delete([&upload.key]).await.unwrap(), [Ok(())]);
    s.fill_by(&upload, b"c,d").await.unwrap();
    let again = s.files.stat(&upload.key).await.unwrap();
    assert_ne!(again.etag, stored.etag);
    assert_eq!(s.read(&upload.key).await, b"c,d");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_have_one_upload_link_one_succeeds() {
    let s = Subject::start(&FILES_S3).await;
    let upload = s.files.upload_url(NewFile::new("a"), MINUTE).await.unwrap();
    let bodies: Vec<_> = (0..16_u8).map(|at| vec![at; 10_000]).collect();
    let sent = futures_util::future::join_all(bodies.iter().map(|body| s.fill_by(&upload, body)));
    let sent = sent.await;
    let won: Vec<_> = sent.iter().zip(&bodies).filter(|(sent, _)| sent.is_ok()).collect();
    assert_eq!(won.len(), 1, "{sent:?}");
    assert!(sent.iter().all(|sent| matches!(sent, Ok(()) | Err(ErrorKind::Conflict))), "{sent:?}");
    assert!(s.read(&upload.key).await == *won[0].1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_live_no_longer_than_the_grant_says_and_lead_to_the_host_if_so_configured() {
    let expiry = |grant: &mut ObjectsGrant| {
        grant.max_link_expiry = ObjectsLinkExpiry::new(MINUTE).unwrap();
    };
    let own = Own::with(json!({}), expiry).await;
    let key = own.put(NewFile::new("a")).await.key;
    let files = own.files();
    assert!(files.download_url(&key, MINUTE).await.unwrap().starts_with(&own.server.url()));
    for refused in [
        files.download_url(&key, 2 * MINUTE).await.err(),
        files.upload_url(NewFile::new("a"), 2 * MINUTE).await.err(),
    ] {
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(refused.message().contains("expires"), "{refused}");
    }
    let own = Own::start(json!({"links": "hosted"})).await;
    let key = own.put(NewFile::new("a")).await.key;
    let upload = own.files().upload_url(NewFile::new("b"), MINUTE).await.unwrap();
    let download = own.files().download_url(&key, MINUTE).await.unwrap();
    for url in [&upload.url, &download] {
        assert!(own.files().redeem(crate::links::token(url).unwrap()).is_ok(), "{url}");
    }
    assert!(upload.headers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_public_on_the_server_only_if_option_and_grant_say_so() {
    let acl = async |own: &Own, file: NewFile| {
        let headers = own.files().upload_url(file, MINUTE).await.map(|upload| upload.headers);
        headers.map(|headers| headers.into_iter().find(|(name, _)| name == "x-amz-acl"))
    };
    let (public, private) = (NewFile::new("a").public(), NewFile::new("a"));
    let said = |text: &str| Some(("x-amz-acl".to_owned(), text.to_owned()));

    let own = Own::start(json!({})).await;
    assert_eq!(acl(&own, public.clone()).await.unwrap(), None);
    assert_eq!(acl(&own, private.clone()).await.unwrap(), None);

    let by_access = json!({"acl": "by-access"});
    let own = Own::with(by_access.clone(), |grant| grant.public = true).await;
    assert_eq!(acl(&own, public.clone()).await.unwrap(), said("public-read"));
    assert_eq!(acl(&own, private.clone()).await.unwrap(), said("private"));
    let stored = own.put(public.clone()).await;
    assert_eq!(own.files().copy(&stored.key, None).await.unwrap().access, Access::Public);

    let own = Own::start(by_access).await;
    for refused in [
        acl(&own, public.clone()).await.map(drop),
        own.files().put_bytes(public.clone(), b"x").await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        assert!(refused.message().contains("public = true"), "{refused}");
    }
    own.put(private).await;
    let own = Own::start(json!({"acl": "private"})).await;
    assert_eq!(acl(&own, public).await.unwrap(), said("private"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_file_has_the_url_of_the_options_and_a_private_one_none() {
    let url = "https://cdn.example.com/f/";
    let own = Own::start(json!({"url": url, "prefix": "shop", "disposition": "inline"})).await;
    let public = own.put(NewFile::new("a b/ü.txt").public()).await;
    let shown = public.url.unwrap();
    assert!(shown.starts_with("https://cdn.example.com/f/shop/a%20b/%C3%BC-0"), "{shown}");
    assert_eq!(own.put(NewFile::new("a")).await.url, None);
    let link = own.files().download_url(&public.key, MINUTE).await.unwrap();
    let answer = reqwest::get(link).await.unwrap();
    assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("inline;"));
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
}

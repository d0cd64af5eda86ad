//! Files over HTTP: bodies stream both ways, ranges, links, public URLs.

use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stheno::config::{
    ByteSize, Config, FolderGrant, FolderMode, Grants, GuestPath, MaxBody, MaxFile, ModuleName,
    ServerConfig, Token,
};
use tempfile::TempDir;

use crate::server::{Server, answer, error, local};

const CONTENT: &str = "/v1/files/content";

/// A server whose files lie in a folder that goes with the test.
async fn start(config: ServerConfig) -> (Server, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut all = local();
    let mut grants = Grants::default();
    let guest = GuestPath::new("/files").unwrap();
    let mode = FolderMode::ReadWrite;
    grants.add_folder(FolderGrant { host: folder.path().into(), guest, mode }).unwrap();
    all.modules.get_mut(ModuleName::Files).grants = grants;
    (Server::with(all, config).await, folder)
}

async fn put(server: &Server, query: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Value {
    let response = server.request(Method::POST, "/v1/files", query).body(body).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    answer(response).await
}

fn key(stored: &Value) -> &str {
    stored["key"].as_str().unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down_as_it_was() {
    let (server, _folder) = start(ServerConfig::default()).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let query = [("name", "a/b c.bin"), ("meta", "order=1"), ("meta", "note=ä=b")];
    let request = server.request(Method::POST, "/v1/files", &query).body(body.clone());
    let stored = answer(request.header(CONTENT_TYPE, "image/png").send().await.unwrap()).await;
    assert_eq!(stored["size"], 3_000_000);
    assert_eq!(stored["metadata"], json!({"order": "1", "note": "ä=b"}));
    assert_eq!((&stored["access"], &stored["url"]), (&json!("private"), &Value::Null));
    let query = [("key", key(&stored))];
    let info = answer(server.get("/v1/files/info", &query).await).await;
    assert_eq!(info, stored);
    let head = server.request(Method::HEAD, CONTENT, &query).send().await.unwrap();
    let whole = server.get(CONTENT, &query).await;
    for response in [&head, &whole] {
        assert_eq!(header(response, "content-length"), "3000000");
        assert_eq!(header(response, "content-type"), "image/png");
        assert_eq!(header(response, "accept-ranges"), "bytes");
        assert_eq!(header(response, "cache-control"), "private, no-store");
        assert_eq!(header(response, "x-content-type-options"), "nosniff");
        assert!(header(response, "content-security-policy").contains("sandbox"));
        assert!(header(response, "content-disposition").ends_with("''b%20c%2Ebin"));
        assert!(header(response, "last-modified").ends_with("GMT"));
    }
    assert!(head.bytes().await.unwrap().is_empty());
    assert!(whole.bytes().await.unwrap() == body);
}

#[tokio::test]
async fn one_range_is_answered_with_206_and_an_impossible_one_with_416() {
    let (server, _folder) = start(ServerConfig::default()).await;
    let stored = put(&server, &[("name", "a")], "0123456789").await;
    let query = [("key", key(&stored))];
    let ask = async |range: &str| {
        server.request(Method::GET, CONTENT, &query).header(RANGE, range).send().await.unwrap()
    };
    for (range, part, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=5-999", "56789", "bytes 5-9/10"),
    ] {
        let response = ask(range).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(response.headers()[CONTENT_RANGE], content_range);
        assert_eq!(response.text().await.unwrap(), part, "{range}");
    }
    for range in ["bytes=0-1,5-6", "lines=1-2", "bytes=5-2"] {
        let response = ask(range).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert_eq!(response.text().await.unwrap(), "0123456789");
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"] {
        let response = ask(range).await;
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(response.headers()[CONTENT_RANGE], "bytes */10");
        assert_eq!(error(response).await.0, "invalid-argument");
    }
}

#[tokio::test]
async fn who_has_the_file_is_told_so_and_a_range_is_of_the_same_file() {
    let (server, _folder) = start(ServerConfig::default()).await;
    let stored = put(&server, &[("name", "a")], "0123456789").await;
    let query = [("key", key(&stored))];
    let tag = server.get(CONTENT, &query).await.headers()[ETAG].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", stored["etag"].as_str().unwrap()));
    for known in [tag.as_str(), "*", &format!("\"x\", W/{tag}")] {
        let request = server.request(Method::GET, CONTENT, &query).header(IF_NONE_MATCH, known);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(response.headers()[ETAG], tag);
    }
    for (condition, status) in [(tag.as_str(), 206), ("\"other\"", 200)] {
        let request = server.request(Method::GET, CONTENT, &query).header(RANGE, "bytes=0-1");
        let response = request.header(IF_RANGE, condition).send().await.unwrap();
        assert_eq!(response.status(), status, "{condition}");
    }
}

#[tokio::test]
async fn the_limit_on_bodies_is_not_that_on_files() {
    let config = ServerConfig::default()
        .with_max_body(MaxBody::new(ByteSize::kib(1)).unwrap())
        .with_max_file(MaxFile::new(ByteSize::kib(64)).unwrap());
    let (server, _folder) = start(config).await;
    let stored = put(&server, &[("name", "a")], vec![7; 64 * 1024]).await;
    assert_eq!(stored["size"], 64 * 1024);
    // With a length, and without one.
    let long = vec![7_u8; 64 * 1024 + 1];
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(long.clone())]);
    for body in [reqwest::Body::from(long), reqwest::Body::wrap_stream(chunks)] {
        let request = server.request(Method::POST, "/v1/files", &[("name", "b")]).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let (kind, message) = error(response).await;
        assert_eq!(kind, "too-large");
        assert!(message.contains("server.max_file"), "{message}");
    }
    let page = answer(server.get("/v1/files/list", &[("prefix", "")]).await).await;
    assert_eq!(page["files"].as_array().unwrap().len(), 1, "{page}");
}

// F8: a private file is not readable by a plain URL. F1: a public one is.
#[tokio::test]
async fn only_public_files_have_a_plain_url_and_it_needs_no_token() {
    let token = "0123456789abcdef";
    let address = "127.0.0.1:7070".parse().unwrap();
    let config = ServerConfig::new(address, Some(Token::new(token).unwrap())).unwrap();
    let (server, _folder) = start(config).await;
    let mut stored = Vec::new();
    for access in ["public", "private"] {
        let query = [("name", "a b/c&d.txt"), ("access", access)];
        let request = server.request(Method::POST, "/v1/files", &query).bearer_auth(token);
        stored.push(answer(request.body(access).send().await.unwrap()).await);
    }
    let url = stored[0]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("http://{}/files/a%20b/c%26d-", server.address)), "{url}");
    let read = async |url: &str| reqwest::get(url).await.unwrap();
    let response = read(&url).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(header(&response, "cache-control").contains("immutable"));
    assert_eq!(response.text().await.unwrap(), "public");
    let private = format!("http://{}/files/{}", server.address, key(&stored[1]));
    for url in [private.as_str(), &url.replace("c%26d", "x"), &format!("{url}/..%2f..%2fx")] {
        let response = read(url).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{url}");
        assert_eq!(error(response).await.0, "not-found");
    }
    for path in ["/v1/files/info", CONTENT] {
        let response = server.get(path, &[("key", key(&stored[0]))]).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn links_read_and_upload_without_a_token_until_they_are_changed() {
    let (server, _folder) = start(ServerConfig::default()).await;
    let stored = put(&server, &[("name", "secret")], "secret").await;
    let link = json!({"key": key(&stored), "expires": "1m"});
    let link = server.call("/v1/files/download-url", link).await;
    let url = link["url"].as_str().unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "secret");
    let client = reqwest::Client::new();
    let part = client.get(url).header(RANGE, "bytes=0-2").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(client.put(url).body("x").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let forged = reqwest::get(format!("{url}A")).await.unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert_eq!(error(forged).await.0, "denied");

    let file = json!({"name": "up.csv", "content_type": "text/csv", "access": "public"});
    let upload = json!({"file": file, "expires": "1m"});
    let upload = server.call("/v1/files/upload-url", upload).await;
    let url = upload["url"].as_str().unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().status(), StatusCode::FORBIDDEN);
    let wrong = client.put(url).header(CONTENT_TYPE, "text/html").body("x").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let sent = client.put(url).header(CONTENT_TYPE, "text/csv").body("a,b").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::CREATED);
    let sent = answer(sent).await;
    assert_eq!(sent["key"], upload["key"]);
    assert_eq!(client.put(url).body("again").send().await.unwrap().status(), StatusCode::CONFLICT);
    let read = reqwest::get(sent["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(header(&read, "content-type"), "text/csv");
    assert_eq!(read.text().await.unwrap(), "a,b");
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_leaves_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (server, folder) = start(ServerConfig::default()).await;
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/files?name=half HTTP/1.1\r\nHost: {}\r\nContent-Length: 2000000\r\n\r\n",
        server.address
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&[7; 1_000_000]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    let aside = || std::fs::read_dir(folder.path().join(".stheno")).map_or(0, Iterator::count);
    let gone = async {
        while aside() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
    let page = answer(server.get("/v1/files/list", &[("prefix", "")]).await).await;
    assert_eq!(page, json!({"files": [], "cursor": null}));
}

// F4, F13 and F14 over HTTP.
#[tokio::test]
async fn results_are_per_key_and_what_is_missing_is_said() {
    let (server, _folder) = start(ServerConfig::default()).await;
    let stored = put(&server, &[("name", "a")], "a").await;
    let copy = server.call("/v1/files/copy", json!({"key": key(&stored)})).await;
    let page = answer(server.get("/v1/files/list", &[("prefix", key(&copy))]).await).await;
    assert_eq!(page["files"], json!([copy]));
    let response = server.get("/v1/files/list", &[]).await;
    assert!(error(response).await.1.contains("prefix"));
    let keys = json!({"keys": [key(&stored), "../x", "missing"]});
    let results = server.call("/v1/files/delete", keys).await;
    let kinds: Vec<_> =
        results["results"].as_array().unwrap().iter().map(|r| r["error"]["kind"].clone()).collect();
    assert_eq!(kinds, [Value::Null, json!("invalid-argument"), Value::Null]);
    for path in ["/v1/files/info", CONTENT] {
        let response = server.get(path, &[("key", key(&stored))]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(error(response).await.0, "not-found");
    }
    let link = json!({"key": key(&stored), "expires": "1m"});
    let response = server.post("/v1/files/download-url", link).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_call_may_name_its_store_and_links_and_urls_keep_it() {
    let folder = TempDir::new().unwrap();
    let mut text = String::new();
    for id in ["main", "other"] {
        let host = folder.path().join(id);
        std::fs::create_dir(&host).unwrap();
        text += &format!(
            "[[modules.files.providers]]\nid = \"{id}\"\n\
             grants.folders = [{{ host = {:?}, guest = \"/files\", mode = \"read-write\" }}]\n",
            host.to_str().unwrap()
        );
    }
    let mut config = Config::parse(&text, "t", folder.path(), &|_| None).unwrap();
    config.runtime = local().runtime;
    let server = Server::with(config, ServerConfig::default()).await;
    let other = ("store", "other");
    let query = [("name", "a"), ("access", "public"), other];
    let stored = put(&server, &query, "theirs").await;
    let key = key(&stored);
    assert_eq!(stored["url"], format!("http://{}/stores/other/{key}", server.address));

    let theirs = server.get(CONTENT, &[("key", key), other]).await;
    assert_eq!(theirs.text().await.unwrap(), "theirs");
    assert_eq!(server.get(CONTENT, &[("key", key)]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer(server.get("/v1/files/info", &[("key", key), other]).await).await, stored);
    let listed = answer(server.get("/v1/files/list", &[("prefix", ""), other]).await).await;
    assert_eq!(listed["files"], json!([stored]));
    for (path, status) in [
        (format!("/stores/other/{key}"), StatusCode::OK),
        (format!("/stores/main/{key}"), StatusCode::NOT_FOUND),
        (format!("/stores/none/{key}"), StatusCode::NOT_FOUND),
        (format!("/files/{key}"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(server.get(&path, &[]).await.status(), status, "{path}");
    }
    let link = json!({"key": key, "expires": "1m", "store": "other"});
    let link = server.call("/v1/files/download-url", link).await;
    let link = link["url"].as_str().unwrap();
    assert_eq!(reqwest::get(link).await.unwrap().text().await.unwrap(), "theirs");
    let copy = server.call("/v1/files/copy", json!({"key": key, "store": "other"})).await;
    let upload = json!({"file": {"name": "b"}, "expires": "1m", "store": "other"});
    let upload = server.call("/v1/files/upload-url", upload).await;
    let client = reqwest::Client::new();
    let sent = client.put(upload["url"].as_str().unwrap()).body("up").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::CREATED);
    let query = [("key", upload["key"].as_str().unwrap()), other];
    assert_eq!(server.get(CONTENT, &query).await.text().await.unwrap(), "up");
    let keys = json!({"keys": [key, copy["key"], upload["key"]], "store": "other"});
    server.call("/v1/files/delete", keys).await;
    let listed = answer(server.get("/v1/files/list", &[("prefix", ""), other]).await).await;
    assert_eq!(listed["files"], json!([]));

    let wrong = server.get("/v1/files/list", &[("prefix", ""), ("store", "none")]).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let (kind, message) = error(wrong).await;
    assert_eq!(kind, "invalid-argument");
    assert_eq!(message, "store: there is none \"none\"; there are: main, other");
}

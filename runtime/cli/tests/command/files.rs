//! Files from the shell, on the folder that there is without a config.

use serde_json::Value;

use crate::stheno::{Up, run, stheno};

#[test]
fn files_go_up_and_down_and_lie_below_the_working_folder() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::of(stheno().current_dir(folder.path()), &[]);
    let data = folder.path().join("stheno-data/files");
    assert!(!data.exists(), "it is made by the first upload");
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let file = folder.path().join("a b.bin");
    std::fs::write(&file, &body).unwrap();
    let file = file.to_str().unwrap();
    let key = up.called(&["files.put", file, "--type", "image/png", "--meta", "order=1"]);
    let key = key.trim_end();
    assert!(key.starts_with("a b-") && key.ends_with(".bin"), "{key}");
    assert!(data.join(key).exists());
    let stat: Value = serde_json::from_str(&up.called(&["files.stat", key])).unwrap();
    assert_eq!((&stat["content_type"], &stat["size"]), (&"image/png".into(), &body.len().into()));

    let (code, stdout, _) = run(&mut up.call(&["files.get", key]), b"");
    assert!(code == 0 && stdout == body);
    let down = folder.path().join("down");
    up.called(&["files.get", key, "-o", down.to_str().unwrap()]);
    assert!(std::fs::read(&down).unwrap() == body);
    let (_, part, _) = run(&mut up.call(&["files.get", key, "--range", "-3"]), b"");
    assert_eq!(part, body[body.len() - 3..]);

    let from_stdin = ["files.put", "-", "--name", "in/x.txt", "--public"];
    let (code, second, _) = run(&mut up.call(&from_stdin), b"from stdin");
    assert_eq!(code, 0);
    let second = String::from_utf8(second).unwrap();
    let copy = up.called(&["files.copy", second.trim_end()]);
    let listed = up.called(&["files.list", "in/"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(up.called(&["files.download-url", key]).starts_with(&up.url));
    let upload = up.called(&["files.upload-url", "later.txt", "--expires", "10m"]);
    assert!(upload.contains("/v1/files/link?token="), "{upload}");

    assert_eq!(up.called(&["files.delete", key, copy.trim_end(), "nothing"]), "");
    let missed = run(&mut up.call(&["files.get", key]), b"");
    assert_eq!(missed, (1, Vec::new(), "not found\n".to_owned()));
    let (code, _, stderr) = run(&mut up.call(&["files.delete", "../x"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("../x: invalid-argument"), "{stderr}");
}

#[test]
fn a_store_that_is_not_the_default_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for id in ["main", "other"] {
        std::fs::create_dir(folder.path().join(id)).unwrap();
        text += &format!(
            "[[modules.files.providers]]\nid = \"{id}\"\n\
             grants.folders = [{{ host = \"./{id}\", guest = \"/files\", mode = \"read-write\" }}]\n"
        );
    }
    std::fs::write(folder.path().join("stheno.toml"), text).unwrap();
    let up = Up::of(stheno().current_dir(folder.path()), &["--config", "stheno.toml"]);
    let put = ["files.put", "-", "--name", "a", "--store", "other"];
    let (code, key, stderr) = run(&mut up.call(&put), b"theirs");
    assert_eq!(code, 0, "{stderr}");
    let key = String::from_utf8(key).unwrap();
    let key = key.trim_end();
    assert!(folder.path().join("other").join(key).exists());
    assert_eq!(up.called(&["files.get", key, "--store", "other"]), "theirs");
    assert_eq!(run(&mut up.call(&["files.get", key]), b"").0, 1);
    let copy = up.called(&["files.copy", key, "--store", "other"]);
    assert!(up.called(&["files.stat", key, "--store", "other"]).contains("\"size\":6"));
    assert_eq!(up.called(&["files.list", "", "--store", "other"]).lines().count(), 2);
    assert_eq!(up.called(&["files.list", ""]), "");
    up.called(&["files.delete", key, copy.trim_end(), "--store", "other"]);
    assert_eq!(up.called(&["files.list", "", "--store", "other"]), "");
    let (code, _, stderr) = run(&mut up.call(&["files.list", "", "--store", "none"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("there is none \"none\""), "{stderr}");
}

//! The S3 server of `tests/s3`, as a child that ends with the test. It is built once, beside what is tested.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

/// The bucket that it has.
pub(super) const BUCKET: &str = "calls";
const KEY: &str = "calltide";
const SECRET: &str = "the secret of the store";

/// A running server; its objects go with it.
pub(crate) struct S3 {
    child: Child,
    told: ChildStdin,
    tells: BufReader<ChildStdout>,
    /// Host and port.
    pub(super) address: String,
    folder: tempfile::TempDir,
}

impl S3 {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut command = Command::new(built());
        let piped = command.arg(folder.path()).args([KEY, SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let (told, tells) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, told, tells, address: String::new(), folder };
        server.address = server.line();
        server
    }

    /// From now on it serves, or is `busy`, `refuse`s and so on, see `tests/s3`.
    pub(super) fn is(&mut self, mood: &str) {
        writeln!(self.told, "{mood}").unwrap();
        assert_eq!(self.line(), mood);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.tells.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// How many objects there are below a folder of the lake.
    pub(super) fn objects(&self, below: &str) -> usize {
        let at = self.folder.path().join(BUCKET).join("lake").join(below);
        let mut folders = vec![at];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            // The server keeps no empty folders' objects; what is not there has none.
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { files += 1 }
            }
        }
        files
    }

    /// A client of its own.
    pub(super) fn client(&self) -> Arc<dyn ObjectStore> {
        let client = AmazonS3Builder::new().with_bucket_name(BUCKET).with_region("us-east-1").with_allow_http(true);
        let client = client.with_endpoint(format!("http://{}", self.address));
        Arc::new(client.with_access_key_id(KEY).with_secret_access_key(SECRET).build().unwrap())
    }

    /// What `calltide.toml` says of it.
    pub(crate) fn configuration(&self) -> String {
        self.configured(BUCKET, SECRET)
    }

    /// The same with another bucket or another secret.
    pub(super) fn configured(&self, bucket: &str, secret: &str) -> String {
        let address = &self.address;
        format!(
            "[lake]\nurl = \"s3://{bucket}/lake\"\n[lake.store]\nendpoint = \"http://{address}\"\nallow_http = true\n\
             region = \"us-east-1\"\naccess_key_id = \"{KEY}\"\nsecret_access_key = \"{secret}\"\n"
        )
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program, built if need be. Cargo lets others wait that want the same.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3/Cargo.toml");
        let target = Path::new(env!("CARGO_BIN_EXE_calltide")).ancestors().nth(2).unwrap().join("s3-server");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(&target);
        let output = build.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the S3 server cannot be built (its crates come from the registry):\n{said}");
        target.join("debug/s3-server")
    })
}
